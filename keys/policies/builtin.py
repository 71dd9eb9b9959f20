"""The built-in rules, each with the shape of its parameters. A rule that does not concern an action lets it pass.

`refusal` says why a call is refused, from the call and the clock alone; `claim` says what passing takes: a count within
a limit, or an operator's word. Claims are taken together, once nothing refuses any more (`keys.policies.check`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from rest_framework import serializers

from keys.hashes import HASH_ALGOS
from keys.policies.asked import ACTIONS, Asked
from keys.policies.ethereum import NotATransaction, Transaction, transaction_of
from keys.serializers.fields import HexField, StrictBooleanField, StrictCharField, StrictIntegerField

DAY = 86_400
MAX_LIST = 1000
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Count:
    """At most ``limit`` in all calls of a period of so many seconds, which begin at multiples of it since 1970; this
    call is ``amount`` of them."""

    seconds: int
    amount: int
    limit: int


@dataclass(frozen=True)
class Word:
    """An operator's approval of this very call."""


Claim = Count | Word


class Parameters(serializers.Serializer[Any]):
    """Refuses what it does not know: a misspelt limit would be none."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(str(name)[:60] for name in data.keys() - self.fields.keys())):
            raise serializers.ValidationError({name: ["There is no such parameter."] for name in unknown})
        return super().to_internal_value(data)


class BuiltIn:
    """One kind of rule. Parameters come as `Parameters` has validated them."""

    name: ClassVar[str]
    about: ClassVar[str]

    class Parameters(Parameters):
        pass

    def refusal(self, asked: Asked, given: dict[str, Any], now: datetime) -> str | None:
        """Why the call is refused; None where it is not."""
        return None

    def claim(self, asked: Asked, given: dict[str, Any]) -> Claim | None:
        """What it takes to pass besides."""
        return None


def _actions(*, required: bool = False) -> serializers.ListField:
    child = serializers.ChoiceField(choices=ACTIONS)
    return serializers.ListField(child=child, min_length=1, max_length=len(ACTIONS), required=required)


def _concerned(asked: Asked, given: dict[str, Any]) -> bool:
    return asked.action in given.get("actions", ACTIONS)


class AllowedActions(BuiltIn):
    name = "allowed_actions"
    about = "Only these actions."

    class Parameters(Parameters):
        actions = _actions(required=True)

    def refusal(self, asked: Asked, given: dict[str, Any], now: datetime) -> str | None:
        return None if asked.action in given["actions"] else f"{asked.action} is not among the allowed actions"


class HashAlgorithms(BuiltIn):
    name = "hash_algorithms"
    about = "ECDSA signs under these hashes only."

    class Parameters(Parameters):
        algorithms = serializers.ListField(child=serializers.ChoiceField(choices=sorted(HASH_ALGOS)), min_length=1)

    def refusal(self, asked: Asked, given: dict[str, Any], now: datetime) -> str | None:
        used = asked.request.get("hash_algo")
        if asked.action != "sign" or used is None or used in given["algorithms"]:
            return None
        return f"{used} is not among the allowed hash algorithms"


class MessagePrefix(BuiltIn):
    name = "message_prefix"
    about = "Messages to sign begin with one of these bytes (hex)."

    class Parameters(Parameters):
        prefixes = serializers.ListField(child=HexField(max_bytes=256), min_length=1, max_length=100)

        def validate_prefixes(self, prefixes: list[bytes]) -> list[bytes]:
            if b"" in prefixes:
                raise serializers.ValidationError("Every message begins with no bytes.")
            return prefixes

    def refusal(self, asked: Asked, given: dict[str, Any], now: datetime) -> str | None:
        message = asked.message
        if message is None or any(message.startswith(bytes.fromhex(prefix)) for prefix in given["prefixes"]):
            return None
        return "the message begins with none of the allowed prefixes"


class WeiField(serializers.Field[str, Any, str, Any]):
    """An amount of wei as a decimal string, since JSON numbers are not exact that far."""

    default_error_messages = {"invalid": "An amount of wei is a string of up to 78 digits."}

    def to_internal_value(self, data: Any) -> str:
        if not (isinstance(data, str) and data.isascii() and data.isdigit() and len(data) <= 78):
            self.fail("invalid")
        return str(int(data))

    def to_representation(self, value: str) -> str:
        return value


class Ethereum(BuiltIn):
    name = "ethereum"
    about = "Messages to sign are Ethereum transactions (EIP-1559 or legacy) within these limits."

    class Parameters(Parameters):
        chain_ids = serializers.ListField(
            child=StrictIntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=MAX_LIST
        )
        recipients = serializers.ListField(child=HexField(max_bytes=20), max_length=MAX_LIST, required=False)
        max_value = WeiField(required=False)
        max_value_per_day = WeiField(required=False)
        max_fee = WeiField(required=False)
        contract_creation = StrictBooleanField(required=False, default=False)
        calldata = StrictBooleanField(required=False, default=False)

        def validate_recipients(self, recipients: list[bytes]) -> list[bytes]:
            if any(len(each) != 20 for each in recipients):
                raise serializers.ValidationError("An address has 20 bytes.")
            return recipients

    def refusal(self, asked: Asked, given: dict[str, Any], now: datetime) -> str | None:
        if asked.action != "sign":
            return None
        if asked.request.get("hash_algo") != "keccak256":
            return "an Ethereum transaction is signed under keccak256"
        try:
            seen = transaction_of(asked.message or b"")
        except NotATransaction as error:
            return f"the message is no Ethereum transaction: {error}"
        return next(_against(seen, given), None)

    def claim(self, asked: Asked, given: dict[str, Any]) -> Claim | None:
        limit = given.get("max_value_per_day")
        if asked.action != "sign" or limit is None:
            return None
        return Count(DAY, transaction_of(asked.message or b"").value, int(limit))


def _against(seen: Transaction, given: dict[str, Any]) -> Any:
    """What speaks against a transaction, one after the other."""
    if seen.chain_id not in given["chain_ids"]:
        yield f"chain {seen.chain_id} is not among the allowed ones"
    if seen.to is None and not given["contract_creation"]:
        yield "it makes a contract"
    if "recipients" in given and seen.to is not None and seen.to.hex() not in given["recipients"]:
        yield f"0x{seen.to.hex()} is not among the allowed recipients"
    if seen.data and seen.to is not None and not given["calldata"]:
        yield "it carries data"
    if "max_value" in given and seen.value > int(given["max_value"]):
        yield f"its value of {seen.value} wei is above the limit"
    if "max_fee" in given and seen.max_fee > int(given["max_fee"]):
        yield f"its fee may be {seen.max_fee} wei, which is above the limit"


class ClockField(StrictCharField):
    """A time of day, `HH:MM`; `24:00` is the end of the day."""

    default_error_messages = {"clock": "A time of day is HH:MM."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        hours, colon, minutes = text.partition(":")
        plain = colon and text.isascii() and len(text) == 5 and hours.isdigit() and minutes.isdigit()
        if not plain or int(minutes) > 59 or (int(hours), int(minutes)) > (24, 0):
            self.fail("clock")
        return text


class TimeWindow(BuiltIn):
    name = "time_window"
    about = "Only on these days of the week, between these times of day."

    class Parameters(Parameters):
        weekdays = serializers.ListField(
            child=serializers.ChoiceField(choices=WEEKDAYS), min_length=1, default=list(WEEKDAYS)
        )
        begin = ClockField(default="00:00")
        end = ClockField(default="24:00")
        timezone = StrictCharField(default="UTC", max_length=60)
        actions = _actions()

        def validate_timezone(self, name: str) -> str:
            if name not in available_timezones():
                raise serializers.ValidationError("There is no such time zone.")
            return name

        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            if attrs["begin"] >= attrs["end"]:
                raise serializers.ValidationError({"end": "It comes before the beginning."})
            return attrs

    def refusal(self, asked: Asked, given: dict[str, Any], now: datetime) -> str | None:
        local = now.astimezone(ZoneInfo(given["timezone"]))
        inside = given["begin"] <= f"{local:%H:%M}" < given["end"] and WEEKDAYS[local.weekday()] in given["weekdays"]
        return None if inside or not _concerned(asked, given) else "it is outside the allowed time"


class Rate(BuiltIn):
    name = "rate"
    about = "At most so many calls in so many seconds, for each key."

    class Parameters(Parameters):
        calls = StrictIntegerField(min_value=1, max_value=10**9)
        seconds = StrictIntegerField(min_value=1, max_value=366 * DAY)
        actions = _actions()

    def claim(self, asked: Asked, given: dict[str, Any]) -> Claim | None:
        return Count(given["seconds"], 1, given["calls"]) if _concerned(asked, given) else None


class OperatorApproval(BuiltIn):
    name = "operator_approval"
    about = "An operator approves each call; it is then repeated."

    class Parameters(Parameters):
        actions = _actions()

    def claim(self, asked: Asked, given: dict[str, Any]) -> Claim | None:
        return Word() if _concerned(asked, given) else None


KINDS: dict[str, BuiltIn] = {
    kind.name: kind
    for kind in (
        AllowedActions(),
        HashAlgorithms(),
        MessagePrefix(),
        Ethereum(),
        TimeWindow(),
        Rate(),
        OperatorApproval(),
    )
}
