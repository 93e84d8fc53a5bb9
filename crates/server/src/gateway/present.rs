//! The gateways that are there: what each showed when it registered, and which of them listen to what ends.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daypass_core::name::Name;
use tokio::sync::oneshot;

use super::asker::{Asker, Run};

/// How many runs of one gateway are there at a time: one that is being replaced by another, and those that died unheard.
const RUNS: usize = 8;

/// Digests of certificates.
pub(super) type EndPoints = Arc<[Vec<u8>]>;

/// What a run of a gateway said when it began.
struct There {
    end_points: EndPoints,
    serves: BTreeSet<Name>,
    /// Tells the stream of its endings to end, by being dropped.
    stream: Option<oneshot::Sender<()>>,
    /// Which came first.
    turn: u64,
}

impl There {
    fn listens(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| !stream.is_closed())
    }
}

/// The runs of gateways that registered since this server started.
#[derive(Default)]
pub(super) struct Present(Mutex<(HashMap<Run, There>, u64)>);

impl Present {
    fn all(&self) -> MutexGuard<'_, (HashMap<Run, There>, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run of a gateway says that it is there. `false` where too many of it are, and all listen.
    pub(super) fn enter(&self, by: &Asker, end_points: Vec<Vec<u8>>) -> bool {
        let mut all = self.all();
        let (runs, turns) = &mut *all;
        *turns += 1;
        let stream = match runs.remove(&by.run()) {
            Some(there) => there.stream,
            None => {
                let others = runs.iter().filter(|((name, _), _)| *name == by.name);
                if others.clone().count() >= RUNS {
                    let deaf = others.filter(|(_, there)| !there.listens());
                    let Some(oldest) = deaf
                        .min_by_key(|(_, there)| there.turn)
                        .map(|(run, _)| run.clone())
                    else {
                        return false;
                    };
                    runs.remove(&oldest);
                }
                None
            }
        };
        let there = There {
            end_points: end_points.into(),
            serves: by.named(),
            stream,
            turn: *turns,
        };
        runs.insert(by.run(), there);
        true
    }

    /// The certificates that this run shows, which proofs are bound to; nothing where it has not said.
    pub(super) fn end_points(&self, by: &Asker) -> Option<EndPoints> {
        Some(Arc::clone(&self.all().0.get(&by.run())?.end_points))
    }

    /// A stream of endings begins: an earlier one of this run ends, or one that is dead would hold its place. What resolves when
    /// another takes its place; nothing where this run has not registered.
    pub(super) fn listen(&self, by: &Asker) -> Option<oneshot::Receiver<()>> {
        let (sender, receiver) = oneshot::channel();
        self.all().0.get_mut(&by.run())?.stream = Some(sender);
        Some(receiver)
    }

    /// Whether a gateway of this name is there and listens.
    pub(super) fn listens(&self, gateway: &Name) -> bool {
        self.any(gateway, |_| true)
    }

    /// The same, and whether it serves this.
    pub(super) fn serves(&self, gateway: &Name, resource: &Name) -> bool {
        self.any(gateway, |there| there.serves.contains(resource))
    }

    fn any(&self, gateway: &Name, of: impl Fn(&There) -> bool) -> bool {
        let all = self.all();
        let mut its = all.0.iter().filter(|((name, _), _)| name == gateway);
        its.any(|(_, there)| there.listens() && of(there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(drawn: u8) -> Asker {
        let serves = BTreeSet::from(["orders".parse().unwrap()]);
        Asker::apart("edge".parse().unwrap(), &[drawn; 32], serves)
    }

    #[test]
    fn a_gateway_is_there_while_it_listens() {
        let present = Present::default();
        let serves = || present.serves(&"edge".parse().unwrap(), &"orders".parse().unwrap());
        assert!(present.listen(&edge(1)).is_none(), "who has not registered");
        assert!(present.enter(&edge(1), vec![vec![7]]));
        assert!(!serves());
        let mut first = present.listen(&edge(1)).unwrap();
        assert!(present.listens(&"edge".parse().unwrap()));
        assert!(serves() && first.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        let second = present.listen(&edge(1)).unwrap();
        assert_eq!(
            first.try_recv(),
            Err(oneshot::error::TryRecvError::Closed),
            "the newest counts"
        );
        assert!(
            present.enter(&edge(1), vec![vec![8]]) && serves(),
            "registering again ends nothing"
        );
        assert_eq!(present.end_points(&edge(1)).as_deref(), Some(&[vec![8]][..]));
        assert!(
            present.end_points(&edge(2)).is_none(),
            "another run shows its own"
        );
        drop(second);
        assert!(!serves());
    }

    #[test]
    fn runs_that_died_make_room_and_those_that_listen_do_not() {
        let present = Present::default();
        let mut streams = Vec::new();
        for drawn in 1..=8 {
            assert!(present.enter(&edge(drawn), vec![]));
            if drawn > 1 {
                streams.extend(present.listen(&edge(drawn)));
            }
        }
        assert!(present.enter(&edge(9), vec![]));
        assert!(present.end_points(&edge(1)).is_none() && present.end_points(&edge(2)).is_some());
        streams.extend(present.listen(&edge(9)));
        assert!(!present.enter(&edge(10), vec![]));
        assert!(
            present.enter(&edge(2), vec![]),
            "one that is there may say so again"
        );
    }
}
