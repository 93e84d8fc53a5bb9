//! One connection through the proxy: two threads that read, look, wait at the gate, and write.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::spawn;

use super::{Connection, Flag, Shared, State, Then};

/// Connects a client to the target and starts to pump; a target that is not there closes the client.
pub(super) fn connect(client: TcpStream, target: SocketAddr, shared: &Arc<Shared>) {
    let Ok(service) = TcpStream::connect(target) else {
        return;
    };
    // Forwarded at once, as the two ends would see each other's bytes without us.
    let _ = (client.set_nodelay(true), service.set_nodelay(true));
    let copies = (
        client.try_clone(),
        service.try_clone(),
        client.try_clone(),
        service.try_clone(),
    );
    let (Ok(client_in), Ok(service_out), Ok(client_out), Ok(service_in)) = copies else {
        return;
    };
    let id = {
        let mut state = shared.lock();
        state.last_id += 1;
        let id = state.last_id;
        state.connections.push(Connection {
            id,
            client,
            service,
            answers_held: false,
        });
        id
    };
    let (requests, answers) = (Arc::clone(shared), Arc::clone(shared));
    spawn(move || pump_requests(id, client_in, service_out, &requests));
    spawn(move || pump_answers(id, service_in, client_out, &answers));
}

/// Client to service: looks for what the traps wait for.
fn pump_requests(id: u64, mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = [0; 16 * 1024];
    // The end of what went before, because a needle may be split between two reads.
    let mut seen = Vec::new();
    while let Some(chunk) = read(&mut from, &mut buffer) {
        seen.extend_from_slice(chunk);
        let mut state = shared.lock();
        while state.paused && state.has(id) {
            state = shared.wait(state);
        }
        if !state.has(id) {
            return;
        }
        let sprung = state.spring(&mut seen);
        let cut_before = sprung.iter().any(|(then, _)| *then == Then::CutBefore);
        let cut_after = sprung.iter().any(|(then, _)| *then == Then::CutAfter);
        if cut_before {
            state.remove(id);
        } else if cut_after || sprung.iter().any(|(then, _)| *then == Then::HoldAnswers) {
            // Before the bytes go, so that no answer slips through.
            state.hold_answers(id);
        }
        drop(state);
        let written = cut_before || to.write_all(chunk).is_ok();
        if cut_after {
            shared.lock().remove(id);
        }
        shared.changed.notify_all();
        for (_, flag) in sprung {
            flag.raise();
        }
        if cut_before || cut_after || !written {
            break;
        }
    }
    finish(id, &to, shared);
}

/// Service to client: waits while answers are held.
fn pump_answers(id: u64, mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = [0; 16 * 1024];
    while let Some(chunk) = read(&mut from, &mut buffer) {
        let mut state = shared.lock();
        while state.holds_answers(id) {
            state = shared.wait(state);
        }
        let open = state.has(id);
        drop(state);
        if !open || to.write_all(chunk).is_err() {
            break;
        }
    }
    let mut state = shared.lock();
    while state.holds_answers(id) {
        state = shared.wait(state);
    }
    drop(state);
    // The service has nothing more to say, so the connection is over, whatever the client still sends.
    shared.lock().remove(id);
    shared.changed.notify_all();
}

/// The client sends no more: the service hears so, and may still answer.
fn finish(id: u64, to: &TcpStream, shared: &Shared) {
    let mut state = shared.lock();
    while state.paused && state.has(id) {
        state = shared.wait(state);
    }
    drop(state);
    let _ = to.shutdown(Shutdown::Write);
}

fn read<'a>(from: &mut TcpStream, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = from.read(buffer).ok().filter(|&length| length > 0)?;
    buffer.get(..length)
}

impl State {
    fn has(&self, id: u64) -> bool {
        self.connections.iter().any(|connection| connection.id == id)
    }

    fn hold_answers(&mut self, id: u64) {
        for connection in self
            .connections
            .iter_mut()
            .filter(|connection| connection.id == id)
        {
            connection.answers_held = true;
        }
    }

    fn holds_answers(&self, id: u64) -> bool {
        self.connections
            .iter()
            .any(|connection| connection.id == id && (self.paused || connection.answers_held))
    }

    /// Closes a connection and forgets it.
    fn remove(&mut self, id: u64) {
        self.connections.retain(|connection| {
            if connection.id == id {
                connection.close();
            }
            connection.id != id
        });
    }

    /// Takes the traps whose needle is in `seen`, and shortens `seen` to what the start of a needle may still be in.
    fn spring(&mut self, seen: &mut Vec<u8>) -> Vec<(Then, Arc<Flag>)> {
        let mut sprung = Vec::new();
        let mut taken: Vec<Vec<u8>> = Vec::new();
        self.traps.retain(|trap| {
            let hit = !taken.contains(&trap.needle) && contains(seen, &trap.needle);
            if hit {
                taken.push(trap.needle.clone());
                sprung.push((trap.then, Arc::clone(&trap.flag)));
            }
            !hit
        });
        // What was sighted is used up: a second trap for the same bytes waits for the next time.
        let keep = if taken.is_empty() {
            self.traps
                .iter()
                .map(|trap| trap.needle.len().saturating_sub(1))
                .max()
                .unwrap_or(0)
        } else {
            0
        };
        seen.drain(..seen.len().saturating_sub(keep));
        sprung
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp_proxy::Trap;

    fn trap(state: &mut State, needle: &[u8]) {
        state.traps.push(Trap {
            needle: needle.to_vec(),
            then: Then::Forward,
            flag: Arc::default(),
        });
    }

    #[test]
    fn a_needle_split_between_reads_is_found_once() {
        let mut state = State::default();
        trap(&mut state, b"CREATE ROLE");
        let mut seen = b"xxCREA".to_vec();
        assert!(state.spring(&mut seen).is_empty());
        seen.extend_from_slice(b"TE ROLE yy");
        assert_eq!(state.spring(&mut seen).len(), 1);
        seen.extend_from_slice(b"CREATE ROLE");
        assert!(state.spring(&mut seen).is_empty(), "used up");
    }

    #[test]
    fn two_traps_for_the_same_bytes_take_two_sightings() {
        let mut state = State::default();
        trap(&mut state, b"DROP");
        trap(&mut state, b"DROP");
        let mut seen = b"DROP".to_vec();
        assert_eq!(state.spring(&mut seen).len(), 1);
        assert!(state.spring(&mut seen).is_empty());
        seen.extend_from_slice(b"DROP");
        assert_eq!(state.spring(&mut seen).len(), 1);
    }

    #[test]
    fn nothing_is_kept_while_nobody_waits() {
        let mut state = State::default();
        let mut seen = vec![0; 10_000];
        state.spring(&mut seen);
        assert!(seen.is_empty());
    }
}
