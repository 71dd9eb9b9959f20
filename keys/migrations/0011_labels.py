from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('keys', '0010_settled'),
    ]

    operations = [
        migrations.AlterField(
            model_name='keyshare',
            name='scheme',
            field=models.CharField(choices=[('ecdsa', 'ECDSA'), ('ed25519', 'Ed25519'), ('bip340', 'BIP340')], max_length=10),
        ),
    ]
