"""Receipts are found by the sharing that they speak about, whether or not their attempt is known."""

import msgspec
from django.db import migrations, models


def fill(apps, schema_editor):
    """`gid` is the fourth field of the signed payload."""
    receipts = apps.get_model("keys", "Receipt")
    for row in receipts.objects.filter(gid=None).iterator():
        row.gid = msgspec.msgpack.decode(msgspec.msgpack.decode(bytes(row.encoded))[0])[3]
        row.save(update_fields=["gid"])


class Migration(migrations.Migration):
    dependencies = [("keys", "0006_policies")]

    operations = [
        migrations.AddField("receipt", "gid", models.BinaryField(max_length=32, null=True)),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField("receipt", "gid", models.BinaryField(max_length=32)),
        migrations.AddIndex("receipt", models.Index(fields=["gid", "party"], name="keys_receip_gid_9bf10d_idx")),
    ]
