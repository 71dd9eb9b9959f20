from django.apps import AppConfig


class ReshareConfig(AppConfig):
    name = "reshare"
    verbose_name = "Reshare"

    def ready(self) -> None:
        from prometheus_client import REGISTRY

        from keys.sessions.kinds import register
        from reshare import orders, restoring  # noqa: F401 (their receivers)
        from reshare.alarms import AlarmCollector
        from reshare.kind import ReshareKind

        register(ReshareKind())
        REGISTRY.register(AlarmCollector())
