"""What the API takes and gives, as pydantic models: they check, write and describe themselves."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from calltree.blueprints.given import MOST

Item = TypeVar("Item", bound=BaseModel)


def _whole(given: Any) -> Any:
    """Take 7.0 for 7, as JSON Schema does."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


Id = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_whole)]
AskedId = Annotated[int, Field(ge=1, le=MOST)]
"""An id in a query, which is text there."""
NO_NUL = r"^[^\x00]*$"
"""Postgres takes no NUL in a text."""
SOMETHING = r"^[^\x00]*[^\x00\s][^\x00]*$"
CURSOR = r"^[0-9]{1,17}(-[0-9]{1,17})?$"
MOST_ITEMS = 200


def text(most: int, least: int = 0) -> Any:
    """Describe a text of so many characters."""
    return Field(min_length=least, max_length=most, pattern=NO_NUL)


class Given(BaseModel):
    """Base of what is sent to us: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Told(BaseModel):
    """Base of what we answer."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Page(Told, Generic[Item]):
    """Some items, and the `cursor` with which to ask for the next ones."""

    items: list[Item]
    next_cursor: str | None = Field(description="Null on the last page.")


class Paged(Given):
    """Where a page begins and how long it is."""

    cursor: Annotated[str, Field(pattern=CURSOR)] | None = Field(
        None, description="`next_cursor` of the page before; without it the first page."
    )
    limit: Annotated[int, Field(ge=1, le=MOST_ITEMS)] = Field(
        50, description="How many items at most."
    )


class Problem(BaseModel):
    """Why a request was not done (RFC 9457). `code` never changes, `detail` is for people."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    receipt: str = Field("", description="受付番号: it is in the server's log too.")
    errors: list[Place] = Field(default_factory=list, description="Each place that is wrong.")


class Place(Told):
    """One place of a request that is wrong."""

    where: str
    why: str


class Me(Told):
    """The token that asks."""

    name: str
    user: str = Field(description="Login ID of the user in whose name it acts.")
    user_id: int
    scopes: list[str]
    requests_per_minute: int
    expires_at: AwareDatetime | None
    practice: bool = Field(description="Nothing is really dialled.")


class ListItem(Told):
    """A list (リスト) with its figures."""

    id: int
    name: str
    project_id: int
    project: str
    enabled: bool
    columns: list[str] = Field(description="Its columns besides 電話番号, in their order.")
    customers: int = Field(description="登録数")
    worked: int = Field(description="作業数: customers dialled at least once.")
    calls: int = Field(description="コール数")
    connects: int = Field(description="コネクト数")
    created_at: AwareDatetime


class ListsQuery(Paged):
    """Which lists."""

    project_id: AskedId | None = None


class ExtraNumberItem(Told):
    """A further number of a customer."""

    number: str
    label: str


class CustomerItem(Told):
    """A customer (顧客)."""

    id: int
    list_id: int
    number: str = Field(description="National digits, 0312345678.")
    number_given: str = Field(description="As it was written.")
    extra_numbers: list[ExtraNumberItem]
    columns: dict[str, str]
    attributes: dict[str, str | bool] = Field(description="顧客属性, by name.")
    prospect_level: str
    short_note: str
    do_not_call: bool = Field(description="Its number is on do-not-call for its project.")
    last_result: str | None
    last_called_at: AwareDatetime | None
    calls: int = Field(description="Times dialled in this 周回.")
    created_at: AwareDatetime
    updated_at: AwareDatetime


class CustomersQuery(Paged):
    """Which customers."""

    list_id: AskedId | None = None
    number: Annotated[str, text(32, 3)] | None = Field(
        None, description="Digits of a main or extra number, three at least; any spelling."
    )


Columns = dict[str, Annotated[str, Field(pattern=NO_NUL)]]


class CustomerChange(Given):
    """What to change; what is left out stays as it is. The number never changes."""

    columns: Columns = Field(default_factory=dict, description="By the list's column names.")
    attributes: Columns = Field(default_factory=dict, description="顧客属性, by name.")
    prospect_level: Annotated[str, text(32)] | None = None
    short_note: Annotated[str, text(256)] | None = None


class NewCustomer(CustomerChange):
    """A customer to add at the end of a list."""

    number: Annotated[str, text(64, 1)] = Field(
        description="In any usual spelling.", examples=["03-1234-5678"]
    )


class RecordItem(Told):
    """A call record (コール履歴)."""

    id: int
    kind: str = Field(description="outbound, inbound, entry or predictive.")
    started_at: AwareDatetime
    talk_s: int = Field(description="Seconds talked.")
    number: str
    customer_id: int | None
    list_id: int | None
    list: str
    project_id: int | None
    project: str
    user_id: int | None = Field(description="Null: 自動発信.")
    user: str
    result: str
    attributes: dict[str, str | bool] = Field(description="結果属性, by name.")
    prospect_level: str
    callback_at: AwareDatetime | None
    memo: str
    saved_at: AwareDatetime | None


class RecordsQuery(Paged):
    """Which records; days are days of the site and both are included."""

    from_: date | None = Field(None, alias="from", description="First day, 2026-11-22.")
    to: date | None = Field(None, description="Last day.")
    project_id: AskedId | None = None
    list_id: AskedId | None = None
    customer_id: AskedId | None = None


class BanItem(Told):
    """A do-not-call entry (架電禁止)."""

    id: int
    number: str
    all_projects: bool
    project_ids: list[int] = Field(description="Where it holds, if not everywhere.")
    source: str = Field(description="status, form, csv or api.")
    note: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    released_at: AwareDatetime | None


class BansQuery(Paged):
    """Which entries, all of them in force."""

    number: Annotated[str, text(32, 3)] | None = Field(
        None, description="Digits of a number, three at least; any spelling."
    )


class NewBans(Given):
    """Numbers to enter."""

    numbers: list[Annotated[str, text(64, 1)]] = Field(min_length=1, max_length=1000)
    project_ids: list[Id] = Field(
        default_factory=list, max_length=100, description="Where they hold; none: everywhere."
    )
    expires_at: AwareDatetime | None = Field(None, description="Null: for ever.")
    note: Annotated[str, text(256)] = ""


class BansEntered(Told):
    """What became of the numbers."""

    added: int
    existing: int = Field(description="On do-not-call as widely and as long already.")
    invalid: list[str] = Field(description="No phone numbers; as they were given.")


class Release(Given):
    """Why an entry is released."""

    reason: Annotated[str, Field(min_length=1, max_length=256, pattern=SOMETHING)]


class TaskItem(Told):
    """A task (対応タスク): a customer promised a callback."""

    id: int
    customer_id: int
    list_id: int
    list: str
    number: str
    user_id: int | None = Field(description="Null: 担当なし.")
    user: str
    due_at: AwareDatetime | None = Field(description="Null: フリー.")
    opened_at: AwareDatetime


class Due(StrEnum):
    """When tasks are due."""

    PAST = "past"
    FUTURE = "future"
    FREE = "free"


class TasksQuery(Paged):
    """Which open tasks."""

    due: Annotated[Due, Field(strict=False)] | None = Field(None, description="All without it.")


class NewCall(Given):
    """Whom to call, by whom."""

    customer_id: Id
    operator: Annotated[str, text(64, 1)] | None = Field(
        None, description="Login ID of who is to talk; the token's own user without it."
    )
    number: Annotated[str, text(64, 1)] | None = Field(
        None, description="One of the customer's numbers; the main one without it."
    )
    confirmed: bool = Field(
        default=False, description="Dial although the gate asks (`ask_hours`, `ask_gap`)."
    )
    request_id: Annotated[str, text(64, 1)] | None = Field(
        None, description="Sent again, the same id means the same call and dials once."
    )


class CallItem(Told):
    """A call on its way, or over."""

    id: int
    state: str = Field(
        description="queued, dialling, ringing, early, answered, talking, held, ended, failed, "
        "abandoned or refused."
    )
    verdict: str = Field(description="allowed, or why the gate said no.")
    number: str
    customer_id: int | None
    user_id: int | None
    record_id: int | None
    created_at: AwareDatetime
    answered_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    talk_s: int


Problem.model_rebuild()
