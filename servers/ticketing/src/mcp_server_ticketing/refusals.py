"""Refusal: the one way in which the domain says no."""


class Refusal(Exception):
    """An answer that says no: what is wrong and what to do next, written for a language model to read.

    Its text holds nothing that a customer wrote.
    """


class UnknownTicket(Refusal):
    """There is no ticket of that number."""

    def __init__(self, ticket_id: int) -> None:
        super().__init__(f"There is no ticket {ticket_id}. search_tickets finds the tickets there are.")


class UnknownCustomer(Refusal):
    """There is no customer with that address."""


class Unavailable(Refusal):
    """The database cannot be used now: nothing is wrong with what was asked."""
