from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("keys", "0003_bans")]

    operations = [
        migrations.RemoveConstraint("protocolsession", "one_session_per_room_and_share"),
        migrations.AddConstraint(
            "protocolsession",
            models.UniqueConstraint(
                fields=["relay", "room", "share"],
                condition=Q(finished_at__isnull=True) | Q(filled__isnull=False),
                name="one_session_per_room_and_share",
            ),
        ),
    ]
