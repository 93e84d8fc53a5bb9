//! Whether a server signs what happens. A log whose signing stopped is whole as far as it goes: that it goes no further is to be
//! seen only by what the server has recorded since.

use daypass_api::Client;
use daypass_api::event::{AuditEvent, AuditQuery};
use daypass_core::event::UNSIGNED;
use daypass_core::time::{Span, Timestamp};
use daypass_tlog::key::Verifier;

use super::reader::unsound;
use super::trust;
use crate::failure::Failure;

/// How long it may be unsigned by the clock of this machine, which may be another than the server's.
const LONG: Span = Span::minutes(5);

/// How many entries are not signed, of those that the server lists. Few may be: those of the last second.
///
/// # Errors
/// Where one of them happened long before others, or long ago: nothing is signed any more.
pub(super) async fn unsigned(client: &Client, keys: &[Verifier], now: Timestamp) -> Result<u64, Failure> {
    // First what there is, then what is signed: in this order nothing looks unsigned that only came in between.
    let newest = AuditQuery {
        newest: Some(true),
        ..one()
    };
    let Some(newest) = first(client, newest).await? else {
        return Ok(0);
    };
    let note = client.log_checkpoint().await?;
    let (checkpoint, _) =
        trust::signed(&note, keys).map_err(|why| unsound(&format!("the checkpoint: {why}")))?;
    let size = checkpoint.size;
    if newest.seq < size {
        return Ok(0);
    }
    // The list goes on behind the entry that its cursor names.
    let oldest = AuditQuery {
        cursor: size.checked_sub(1).map(|last| last.to_string()),
        ..one()
    };
    let oldest = first(client, oldest).await?.map_or(newest.at, |oldest| oldest.at);
    match stopped(oldest, newest.at, now) {
        false => Ok(newest.seq.saturating_sub(size).saturating_add(1)),
        true => Err(unsound(&format!(
            "entry {size} of {oldest} is not signed although the server has {} entries, the last of {}: it signs no more \
             (daypass doctor says why), or keeps from you what it signed",
            newest.seq.saturating_add(1),
            newest.at
        ))),
    }
}

/// Whether what is not signed is too old for that.
fn stopped(oldest: Timestamp, newest: Timestamp, now: Timestamp) -> bool {
    newest.since(oldest) > UNSIGNED || now.since(oldest) > LONG
}

fn one() -> AuditQuery {
    AuditQuery {
        limit: Some(1),
        ..AuditQuery::default()
    }
}

async fn first(client: &Client, query: AuditQuery) -> Result<Option<AuditEvent>, Failure> {
    Ok(client.audit_events(&query).await?.items.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_unsigned_is_noticed_by_what_came_since_or_by_the_clock() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        assert!(!stopped(at(100), at(101), at(102)), "the last second");
        assert!(!stopped(at(100), at(160), at(160)));
        assert!(stopped(at(100), at(161), at(161)), "much happened since");
        assert!(!stopped(at(100), at(100), at(400)));
        assert!(stopped(at(100), at(100), at(401)), "long ago");
        assert!(
            !stopped(at(900), at(901), at(0)),
            "a clock that is behind proves nothing"
        );
    }
}
