"""Routes of `keys`. A trailing slash is taken off before they are matched."""

from django.urls import path

from keys.models import Scheme
from keys.views import admin, audit, exports, keys, operations, policies, protocols, rooms, webhooks

SCHEMES = tuple(Scheme)


def _routes(scheme: str) -> list[object]:
    export_id = keys.ExportId.as_view(scheme=scheme)
    return [
        path(f"{scheme}/create", protocols.Create.as_view(scheme=scheme)),
        path(f"{scheme}/keygen", protocols.Keygen.as_view(scheme=scheme)),
        path(f"{scheme}/export/exportId/<str:key_id>", export_id),
        path(f"{scheme}/export-id/<str:key_id>", export_id),
        path(f"{scheme}/export/full", exports.ExportFull.as_view(scheme=scheme)),
        path(f"{scheme}/backup/export-key-share/<str:key_id>", exports.BackupExport.as_view(scheme=scheme)),
        path(f"{scheme}/import/key-importer", exports.KeyImporter.as_view(scheme=scheme)),
        path(f"{scheme}/import/import-key-share-recipient", exports.KeyShareRecipient.as_view(scheme=scheme)),
    ]


urlpatterns = [
    *(route for scheme in SCHEMES for route in _routes(scheme.value)),
    path("ecdsa/sign", protocols.EcdsaSign.as_view()),
    path("ed25519/sign", protocols.Ed25519Sign.as_view()),
    path("bip340/sign", protocols.Bip340Sign.as_view()),
    path("ecdsa/batch-sign", protocols.EcdsaBatchSign.as_view()),
    path("ed25519/batch-sign", protocols.Ed25519BatchSign.as_view()),
    path("bip340/batch-sign", protocols.Bip340BatchSign.as_view()),
    path("ecdsa/derive-pubkey", keys.EcdsaDerive.as_view()),
    path("ed25519/derive-pubkey", keys.Ed25519Derive.as_view()),
    path("bip340/derive-tweak-pubkey", keys.Bip340Derive.as_view()),
    path("keys", keys.Keys.as_view()),
    path("keys/<str:key_id>", keys.Key.as_view()),
    path("keys/<str:key_id>/receipts", keys.KeygenReceipts.as_view()),
    path("keys/<str:key_id>/lift-bans", keys.LiftBans.as_view()),
    path("create-room", rooms.CreateRoom.as_view()),
    path("operations", operations.Operations.as_view()),
    path("operations/<str:operation_id>", operations.OperationView.as_view()),
    path("admin/create-user", admin.CreateUser.as_view()),
    path("admin/generate-api-key", admin.GenerateApiKey.as_view()),
    path("admin/list-users", admin.ListUsers.as_view()),
    path("admin/list-api-keys", admin.ListApiKeys.as_view()),
    path("admin/revoke-api-key", admin.RevokeApiKey.as_view()),
    path("admin/delete-user", admin.DeleteUser.as_view()),
    path("admin/list-all-system-keys", admin.ListSystemKeys.as_view()),
    path("admin/list-all-user-keys", admin.ListUserKeys.as_view()),
    path("admin/policies/add-external-rule", policies.AddExternalRule.as_view()),
    path("admin/policies/add-built-in-rule", policies.AddBuiltInRule.as_view()),
    path("admin/policies/list-all-rules", policies.ListRules.as_view()),
    path("admin/policies/delete-rule", policies.DeleteRule.as_view()),
    path("admin/policies/create-policy", policies.CreatePolicy.as_view()),
    path("admin/policies/list-all-policies", policies.ListPolicies.as_view()),
    path("admin/policies/delete-policy", policies.DeletePolicy.as_view()),
    path("admin/policies/add-rule-to-policy", policies.AddRule.as_view()),
    path("admin/policies/remove-rule-from-policy", policies.RemoveRule.as_view()),
    path("admin/policies/attach-policy-to-key", policies.AttachPolicy.as_view()),
    path("admin/policies/detach-policy-from-key", policies.DetachPolicy.as_view()),
    path("admin/policies/set-default-user-policy", policies.DefaultPolicy.as_view()),
    path("policies/evaluate", policies.Evaluate.as_view()),
    path("approvals", policies.Approvals.as_view()),
    path("approvals/<str:approval_id>/approve", policies.DecideApproval.as_view(approve=True)),
    path("approvals/<str:approval_id>/deny", policies.DecideApproval.as_view()),
    path("webhooks", webhooks.Webhooks.as_view()),
    path("webhooks/<str:webhook_id>", webhooks.Webhook.as_view()),
    path("webhooks/<str:webhook_id>/deliveries", webhooks.Deliveries.as_view()),
    path("webhooks/<str:webhook_id>/test", webhooks.TestDelivery.as_view()),
    path("identity-pubkey", audit.IdentityPubkey.as_view()),
    path("audit/events", audit.Events.as_view()),
    path("audit/head", audit.Head.as_view()),
]
