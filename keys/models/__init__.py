"""What is true of users, key shares and protocol sessions, with the constraints that keep it so."""

from keys.models.boxes import BoxKey
from keys.models.heads import PeerHead
from keys.models.node import Node
from keys.models.people import ApiKey, ApiUser, Operator, Policy
from keys.models.policies import Approval, Rule, RuleCount, RuleRequest
from keys.models.receipts import Receipt, Statement
from keys.models.sessions import Operation, ProtocolSession, SessionMessage
from keys.models.shares import KeyShare, PairState, PartyIdentity, Scheme, ShareExport
from keys.models.webhooks import WebhookDelivery, WebhookEndpoint

__all__ = [
    "ApiKey",
    "ApiUser",
    "Approval",
    "BoxKey",
    "KeyShare",
    "Node",
    "Operation",
    "Operator",
    "PairState",
    "PartyIdentity",
    "PeerHead",
    "Policy",
    "ProtocolSession",
    "Receipt",
    "Rule",
    "RuleCount",
    "RuleRequest",
    "Scheme",
    "SessionMessage",
    "ShareExport",
    "Statement",
    "WebhookDelivery",
    "WebhookEndpoint",
]
