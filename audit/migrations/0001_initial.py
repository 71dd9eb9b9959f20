import uuid

from django.db import migrations, models

# For each statement, not row: TRUNCATE, which Django's test flush needs, is the owner's alone and is not refused.
APPEND_ONLY = """
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the audit log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_audithead
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
ALTER TABLE audit_event ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE audit_audithead ENABLE ALWAYS TRIGGER append_only;
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='AuditHead',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('seq', models.BigIntegerField()),
                ('hash', models.BinaryField(max_length=32)),
                ('time', models.DateTimeField()),
                ('statement', models.TextField()),
                ('signature', models.BinaryField()),
            ],
            options={
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['seq'], name='head_by_seq')],
            },
        ),
        migrations.CreateModel(
            name='Deletion',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('attempt', models.CharField(max_length=64)),
                ('party', models.BinaryField(max_length=32)),
                ('keygen_id', models.CharField(max_length=120)),
                ('own', models.BooleanField()),
                ('gid', models.BinaryField(max_length=32)),
                ('key_id', models.UUIDField(null=True)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('confirmed', 'Confirmed'), ('erased', 'Erased'), ('aborted', 'Aborted')], default='pending', max_length=9)),
                ('statement', models.JSONField()),
                ('statement_hash', models.BinaryField(max_length=32)),
                ('requested_by', models.CharField(max_length=200)),
                ('owner', models.CharField(max_length=150, null=True)),
                ('ready_at', models.DateTimeField(null=True)),
                ('proposed_by', models.CharField(max_length=200, null=True)),
                ('proposed_at', models.DateTimeField(null=True)),
                ('proposed_hash', models.BinaryField(max_length=32, null=True)),
                ('decided_by', models.CharField(max_length=200, null=True)),
                ('decided_at', models.DateTimeField(null=True)),
                ('approved_hash', models.BinaryField(max_length=32, null=True)),
                ('reason', models.CharField(blank=True, default='', max_length=1000)),
                ('exports_destroyed', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('confirmed_at', models.DateTimeField(null=True)),
                ('erased_at', models.DateTimeField(null=True)),
                ('aborted_at', models.DateTimeField(null=True)),
            ],
            options={
                'permissions': [('propose_deletion', 'Can propose or reject the deletion of a share'), ('approve_deletion', 'Can approve the deletion that another operator proposed')],
                'default_permissions': ('view',),
                'constraints': [models.UniqueConstraint(fields=('attempt', 'party'), name='one_deletion_per_attempt_and_party'), models.CheckConstraint(condition=models.Q(models.Q(('aborted_at__isnull', True), ('confirmed_at__isnull', True), ('erased_at__isnull', True), ('state', 'pending')), models.Q(('confirmed_at__isnull', False), ('erased_at__isnull', True), ('state', 'confirmed')), models.Q(('erased_at__isnull', False), ('state', 'erased')), models.Q(('aborted_at__isnull', False), ('erased_at__isnull', True), ('state', 'aborted')), _connector='OR'), name='deletion_time_follows_state'), models.CheckConstraint(condition=models.Q(('own', False), ('key_id__isnull', False), _connector='OR'), name='own_deletion_names_its_share'), models.CheckConstraint(condition=models.Q(('own', False), models.Q(('state', 'confirmed'), _negated=True), ('ready_at__isnull', False), _connector='OR'), name='own_deletion_confirmed_when_ready'), models.CheckConstraint(condition=models.Q(models.Q(('proposed_at__isnull', True), ('proposed_by__isnull', True), ('proposed_hash__isnull', True)), models.Q(('proposed_at__isnull', False), ('proposed_by__isnull', False), ('proposed_hash__isnull', False)), _connector='OR'), name='deletion_proposal_is_whole'), models.CheckConstraint(condition=models.Q(models.Q(('approved_hash__isnull', True), ('decided_at__isnull', True), ('decided_by__isnull', True)), models.Q(('approved_hash__isnull', False), ('decided_at__isnull', False), ('decided_by__isnull', False)), _connector='OR'), name='deletion_decision_is_whole'), models.CheckConstraint(condition=models.Q(('approved_hash__isnull', True), ('approved_hash', models.F('statement_hash')), _connector='OR'), name='deletion_approved_as_shown')],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('seq', models.BigIntegerField(primary_key=True, serialize=False)),
                ('time', models.DateTimeField()),
                ('action', models.CharField(max_length=64)),
                ('actor', models.CharField(max_length=200)),
                ('subject', models.CharField(max_length=200)),
                ('data', models.JSONField(default=dict)),
                ('previous', models.BinaryField(max_length=32)),
                ('hash', models.BinaryField(max_length=32, unique=True)),
            ],
            options={
                'permissions': [('export_event', 'Can export the event log')],
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['subject', 'seq'], name='event_by_subject'), models.Index(fields=['action', 'seq'], name='event_by_action')],
                'constraints': [models.CheckConstraint(condition=models.Q(('seq__gte', 1)), name='event_seq_from_one')],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, reverse_sql="DROP FUNCTION audit_append_only CASCADE"),
    ]
