from django.db import migrations, models
from django.db.models import F

LONGEST = 366 * 86_400  # seconds: of counts made before, only the longest possible period is known


def end_later(apps, schema_editor):
    apps.get_model('keys', 'RuleCount').objects.update(ends=F('period') + LONGEST)


class Migration(migrations.Migration):

    dependencies = [
        ('keys', '0008_exports'),
    ]

    operations = [
        migrations.AddField(
            model_name='rulecount',
            name='ends',
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.RunPython(end_later, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='rulecount',
            name='ends',
            field=models.BigIntegerField(db_index=True),
        ),
        migrations.AddIndex(
            model_name='operation',
            index=models.Index(fields=['finished_at'], name='operation_finished'),
        ),
    ]
