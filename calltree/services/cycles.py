"""周回: customers started again, and carried with their counters into another list (R-LS-10).

A record counts for its customer while its `cycle` is that of the list the customer is in; 0 is the
cycle of none. So what was is set apart by a change of that number alone: the records, their time,
list and user, and with them every summary, stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from calltree.models import CallRecord, Customer, CustomerList
from calltree.services import figures

NO_CYCLE = 0


def lock_records(session: Session, *, customer_ids: Sequence[int]) -> None:
    """Lock the records of customers, which whoever also locks the customers has to do first."""
    query = select(CallRecord.id).where(CallRecord.customer_id.in_(customer_ids))
    session.execute(query.order_by(CallRecord.id).with_for_update()).all()


def start_again(session: Session, *, folder: CustomerList, customers: Sequence[Customer]) -> None:
    """Set customers of a list back to never called, with the list's figures."""
    figures.start_again(session, customers=customers)
    session.execute(
        update(CallRecord)
        .where(
            CallRecord.customer_id.in_([customer.id for customer in customers]),
            CallRecord.cycle == folder.cycle,
        )
        .values(cycle=NO_CYCLE)
        .execution_options(synchronize_session=False)
    )
    for customer in customers:
        _forget(customer)


def _forget(customer: Customer) -> None:
    customer.cycle, customer.dials, customer.connects = NO_CYCLE, 0, 0
    customer.last_record_id = customer.last_status_id = customer.last_user_id = None
    customer.last_system = customer.last_outcome = ""
    customer.next_try_at = None


def carry_over(
    session: Session,
    *,
    source: CustomerList,
    target: CustomerList,
    customers: Sequence[Customer],
) -> None:
    """Put customers of one list into another, with what they count; their places are not set."""
    figures.leave(session, customers=customers)
    session.execute(
        update(CallRecord)
        .where(CallRecord.customer_id.in_([customer.id for customer in customers]))
        .values(cycle=case((CallRecord.cycle == source.cycle, target.cycle), else_=NO_CYCLE))
        .execution_options(synchronize_session=False)
    )
    for customer in customers:
        customer.list_id = target.id
        if customer.cycle == source.cycle:
            customer.cycle = target.cycle
        else:
            _forget(customer)
    session.flush()
    figures.enter(session, customers=customers)
