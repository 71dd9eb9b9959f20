from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('keys', '0009_forgetting'),
    ]

    operations = [
        migrations.AddField(
            model_name='protocolsession',
            name='settled',
            field=models.JSONField(default=list),
        ),
    ]
