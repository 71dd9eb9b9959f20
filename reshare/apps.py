from django.apps import AppConfig


class ReshareConfig(AppConfig):
    name = "reshare"
    verbose_name = "Reshare"
