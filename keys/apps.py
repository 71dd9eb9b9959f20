from django.apps import AppConfig


class KeysConfig(AppConfig):
    name = "keys"
    verbose_name = "Keys"

    def ready(self) -> None:
        from keys.exporting import ExportKind
        from keys.importing import ImportKind
        from keys.keygen import KeygenKind
        from keys.sessions.kinds import register
        from keys.signing import SignKind

        register(KeygenKind())
        register(SignKind())
        register(ImportKind())
        register(ExportKind())
