"""Routes of `reshare`. A trailing slash is taken off before they are matched."""

from django.urls import path

from keys.urls import SCHEMES
from reshare import restoring_views, views
from reshare.decisions import CHOICES


def _routes(scheme: str) -> list[object]:
    return [
        path(f"{scheme}/reshare/existing-party", views.Existing.as_view(scheme=scheme)),
        path(f"{scheme}/reshare/new-party", views.Joining.as_view(scheme=scheme)),
        path(f"{scheme}/reshare/departing-party", views.Departing.as_view(scheme=scheme)),
        path(f"{scheme}/delete-key-share/<str:key_id>", views.Delete.as_view(scheme=scheme)),
        path(f"{scheme}/backup/import-key-share", restoring_views.BackupImport.as_view(scheme=scheme)),
        path(f"{scheme}/refresh", views.Refresh.as_view(scheme=scheme)),
    ]


urlpatterns = [
    *(route for scheme in SCHEMES for route in _routes(scheme.value)),
    path("keys/<str:key_id>/agree", restoring_views.AgreeToShare.as_view()),
    path("reshares", views.Reshares.as_view()),
    path("reshares/<str:name>", views.ReshareView.as_view()),
    path("reshares/<str:name>/confirm-deletion", views.ConfirmDeletion.as_view()),
    path("reshares/<str:name>/abort", views.Abort.as_view()),
    *(path(f"reshares/<str:name>/{name}", views.Decide.as_view(decision=name)) for name in CHOICES),
    path("reshares/<str:name>/receipts", views.Receipts.as_view()),
]
