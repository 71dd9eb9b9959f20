from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0002_batch")]

    operations = [
        migrations.AddField("pairstate", "lifted_by", models.CharField(default="", blank=True, max_length=200)),
        migrations.AddField("pairstate", "lifted_at", models.DateTimeField(null=True)),
    ]
