//! Pages of lists: how many, from where, and lists that are thinned out to what the caller may see.

use daypass_api::Page;
use daypass_api::page::{DEFAULT_LIMIT, MAX_LIMIT};
use daypass_core::refusal::Code;
use daypass_core::time::Timestamp;
use daypass_store::Cursor;

use crate::http::problem::{Answer, Failure};

/// How many rows one call looks at, at most. Where little of them is visible the page is short, and its cursor leads on.
const LOOK_AT: usize = 1_000;
/// How many rows are read at once.
const BATCH: usize = 200;

/// How many entries are asked for.
///
/// # Errors
/// Where it is none, or more than a page ever has.
pub(super) fn limit(asked: Option<u32>) -> Answer<usize> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(usize::try_from(limit).unwrap_or(1)),
        _ => Err(Failure::new(
            Code::Invalid,
            format!("limit is from 1 to {MAX_LIMIT}"),
        )),
    }
}

/// Where to go on.
///
/// # Errors
/// Where it is nothing that an earlier page gave.
pub(super) fn cursor(text: Option<&str>) -> Answer<Option<Cursor>> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|bad: daypass_store::BadCursor| Failure::new(Code::Invalid, bad.to_string()))
}

/// The place behind an entry.
fn behind((at, id): &(Timestamp, String)) -> String {
    format!("{}.{id}", at.micros())
}

/// A page of a list that is read in batches, of which only some entries are for the caller.
pub(super) struct Scan<T> {
    limit: usize,
    left: usize,
    after: Option<Cursor>,
    last: Option<(Timestamp, String)>,
    more: bool,
    items: Vec<T>,
}

impl<T> Scan<T> {
    /// A page of so many, behind this cursor.
    ///
    /// # Errors
    /// As [`limit`] and [`cursor`].
    pub(super) fn new(asked: Option<u32>, after: Option<&str>) -> Answer<Self> {
        let (limit, after) = (limit(asked)?, cursor(after)?);
        Ok(Self {
            limit,
            left: LOOK_AT,
            after,
            last: None,
            more: true,
            items: Vec::with_capacity(limit),
        })
    }

    /// What to read next, while the page is not full.
    pub(super) fn next(&mut self) -> Option<(Option<Cursor>, usize)> {
        let wanted = self.more && self.items.len() < self.limit && self.left > 0;
        wanted.then(|| (self.after.clone(), BATCH.min(self.left)))
    }

    /// Takes a batch in, as far as the page has room.
    pub(super) fn take<R>(
        &mut self,
        batch: daypass_store::Page<R>,
        key: impl Fn(&R) -> (Timestamp, String),
        mut visible: impl FnMut(R) -> Option<T>,
    ) {
        let count = batch.items.len();
        self.left = self.left.saturating_sub(count.max(1));
        self.more = batch.next.is_some();
        self.after = batch.next;
        for (index, row) in batch.items.into_iter().enumerate() {
            self.last = Some(key(&row));
            self.items.extend(visible(row));
            if self.items.len() == self.limit {
                self.more |= index + 1 < count;
                return;
            }
        }
    }

    /// The page.
    pub(super) fn page(self) -> Page<T> {
        let next = self.last.filter(|_| self.more);
        Page {
            items: self.items,
            next: next.as_ref().map(behind),
        }
    }
}

/// Runs what takes a processor for a while on a thread where nobody waits for it: what ends access shares the others.
///
/// # Errors
/// Where it panicked.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::internal(&error))
}

/// A page of a short list that is in rising order of its key.
///
/// # Errors
/// As [`limit`] and [`cursor`].
pub(super) fn ascending<T>(
    all: Vec<T>,
    key: impl Fn(&T) -> (Timestamp, String),
    asked: Option<u32>,
    after: Option<&str>,
) -> Answer<Page<T>> {
    let limit = limit(asked)?;
    cursor(after)?;
    let after = after
        .and_then(|text| text.split_once('.'))
        .and_then(|(at, id)| Some((at.parse::<i64>().ok()?, id)));
    let beyond = |one: &T| {
        let (at, id) = key(one);
        after.is_none_or(|after| (at.micros(), id.as_str()) > after)
    };
    let mut items: Vec<T> = all.into_iter().filter(beyond).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| behind(&key(last)));
    Ok(Page { items, next })
}

/// A page of a short list that is kept in memory, by position.
///
/// # Errors
/// As [`limit`], and where the cursor is no position.
pub(super) fn of<T>(all: Vec<T>, asked: Option<u32>, after: Option<&str>) -> Answer<Page<T>> {
    let limit = limit(asked)?;
    let bad = || Failure::new(Code::Invalid, "this is not a cursor that an earlier page gave");
    let from: usize = after.map(str::parse).transpose().map_err(|_| bad())?.unwrap_or(0);
    let end = from.saturating_add(limit);
    let next = (all.len() > end).then(|| end.to_string());
    Ok(Page {
        items: all.into_iter().skip(from).take(limit).collect(),
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(from: i64, count: i64, next: bool) -> daypass_store::Page<i64> {
        let items: Vec<i64> = (from..from + count).collect();
        let next = next.then(|| {
            format!("{}.R{}", from + count - 1, from + count - 1)
                .parse()
                .unwrap()
        });
        daypass_store::Page { items, next }
    }

    fn key(n: &i64) -> (Timestamp, String) {
        (Timestamp::from_micros(*n), format!("R{n}"))
    }

    #[test]
    fn a_page_that_fills_within_a_batch_leads_on_from_there() {
        let mut scan = Scan::new(Some(2), None).unwrap();
        assert!(scan.next().is_some());
        scan.take(batch(0, 5, false), key, |n| (n % 2 == 1).then_some(n));
        assert!(scan.next().is_none());
        let page = scan.page();
        assert_eq!((page.items, page.next.as_deref()), (vec![1, 3], Some("3.R3")));
    }

    #[test]
    fn the_end_has_no_cursor() {
        let mut scan = Scan::new(Some(50), None).unwrap();
        scan.take(batch(0, 3, true), key, Some);
        scan.take(batch(3, 2, false), key, Some);
        assert!(scan.next().is_none());
        let page = scan.page();
        assert_eq!((page.items.len(), page.next), (5, None));
    }

    #[test]
    fn a_list_of_which_little_is_visible_is_looked_at_in_bounds() {
        let mut scan: Scan<i64> = Scan::new(None, None).unwrap();
        let mut from = 0;
        while let Some((_, count)) = scan.next() {
            let count = i64::try_from(count).unwrap();
            scan.take(batch(from, count, true), key, |_| None);
            from += count;
        }
        assert_eq!(from, 1_000);
        assert_eq!(scan.page().next.as_deref(), Some("999.R999"));
    }

    #[test]
    fn limits_and_cursors_of_clients_are_checked() {
        assert!(limit(Some(0)).is_err() && limit(Some(501)).is_err());
        assert!(Scan::<i64>::new(None, Some("'; DROP")).is_err());
        assert!(of(vec![1], None, Some("x")).is_err());
        assert_eq!(of(vec![1, 2, 3], Some(2), Some("2")).unwrap().items, [3]);
    }

    #[test]
    fn a_rising_list_goes_on_behind_its_cursor() {
        let first = ascending((0..5).collect(), key, Some(2), None).unwrap();
        assert_eq!((first.items, first.next.as_deref()), (vec![0, 1], Some("1.R1")));
        let last = ascending((0..5).collect(), key, Some(9), Some("1.R1")).unwrap();
        assert_eq!((last.items, last.next), (vec![2, 3, 4], None));
    }
}
