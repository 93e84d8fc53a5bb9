//! Tickets that are closed: what was granted for one, by a rule that says so, is over.

use daypass_core::end_when::EndWhen;
use daypass_core::event::Actor;
use daypass_core::grant::{Grant, Reason};
use daypass_core::id::GrantId;
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::request::{self, Request};
use daypass_core::world::World;
use daypass_store::GrantFilter;

use crate::caller::Caller;
use crate::current::Current;
use crate::engine::Engine;
use crate::error::Error;
use crate::requests::check_text;

impl Engine {
    /// Somebody tells that a ticket is closed: every grant that was asked for with it, by a rule with `end_when: ticket_closed`,
    /// begins to end as completed; which ones these are. Requests that still wait for people are left alone, and nothing
    /// remembers that the ticket is closed.
    ///
    /// # Errors
    /// Where the caller is no administrator, or the ticket is no name. What was ended before an error stays ended; the same
    /// call ends the rest.
    pub async fn ticket_closed(&self, caller: Caller, ticket: &str) -> Result<Vec<GrantId>, Error> {
        caller.administrator()?;
        let ticket = ticket.trim();
        if ticket.is_empty() {
            let what = "the ticket has no name";
            return Err(Refusal::new(Code::Invalid, what)
                .hint("say which, such as PAY-7")
                .into());
        }
        check_text("ticket", ticket)?;
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let waits = (!is(Fault::ForgetTicket)).then_some("scheduled");
            let states = waits.into_iter().chain(["activating", "active"]);
            let filter = GrantFilter {
                states: states.map(str::to_owned).collect(),
                ..GrantFilter::default()
            };
            let batch = self.parts.settings.batch.max(1);
            let page = self.store().grants(filter, after, batch).await?;
            for grant in page.items {
                if grant.end_when.contains(&EndWhen::TicketClosed) && self.is_for(&grant, ticket).await? {
                    found.push(grant.id);
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let over = |_: &Current, _: &World, _: &Grant| Some(Reason::Completed);
        self.end_each(Actor::Person(caller.person), found.clone(), over)
            .await?;
        Ok(found)
    }

    /// Whether a grant was asked for, or lengthened, with this ticket. Words that were erased are none.
    async fn is_for(&self, grant: &Grant, ticket: &str) -> Result<bool, Error> {
        let asked = self.store().request(grant.request).await?;
        let lengthened = self.store().requests_extending(grant.id).await?;
        let agreed = |request: &Request| matches!(request.state, request::State::Approved { .. });
        let mut named = asked
            .iter()
            .chain(lengthened.iter().filter(|request| agreed(request)));
        Ok(named.any(|request| {
            let words = request.ask.ticket.as_ref().and_then(|named| named.words());
            words.is_some_and(|words| words.text.trim() == ticket || is(Fault::AnyTicket))
        }))
    }
}
