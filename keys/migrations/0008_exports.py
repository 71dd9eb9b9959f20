from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('keys', '0007_receipts_of_a_sharing'),
    ]

    operations = [
        migrations.CreateModel(
            name='BoxKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public', models.BinaryField(max_length=32, unique=True)),
                ('sealed_secret', models.BinaryField()),
                ('data_key', models.CharField(max_length=64)),
                ('used_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'default_permissions': ('view',),
            },
        ),
        migrations.AddField(
            model_name='keyshare',
            name='backed_up_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='keyshare',
            name='exported_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='operation',
            name='arguments',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='operation',
            name='task',
            field=models.CharField(blank=True, default='', max_length=40),
        ),
    ]
