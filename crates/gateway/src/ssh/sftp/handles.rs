//! What is open in SFTP, by the names that the target gave: each is kept once, however many requests name it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::record::Text;

/// A file that is open.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: Text,
    pub(super) read: u64,
    pub(super) written: u64,
}

#[derive(Debug)]
struct Place {
    handle: Arc<[u8]>,
    /// How many requests name it.
    uses: usize,
    file: Option<File>,
}

/// See the module. A request that is sent before its file is open names it already: handles can be foreseen.
#[derive(Debug, Default)]
pub(super) struct Handles {
    numbers: HashMap<Arc<[u8]>, u32>,
    places: HashMap<u32, Place>,
    next: u32,
    files: usize,
}

impl Handles {
    /// Its number, and whether it is a new one; it is used once more.
    pub(super) fn name(&mut self, handle: &[u8]) -> (u32, bool) {
        let known = self.numbers.get(handle).copied();
        if let Some(number) = known
            && let Some(place) = self.places.get_mut(&number)
        {
            place.uses += 1;
            return (number, false);
        }
        // There are never as many as there are numbers.
        while self.places.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let (number, handle): (u32, Arc<[u8]>) = (self.next, handle.into());
        self.next = self.next.wrapping_add(1);
        self.numbers.insert(Arc::clone(&handle), number);
        let place = Place {
            handle,
            uses: 1,
            file: None,
        };
        self.places.insert(number, place);
        (number, true)
    }

    /// It is used once less. Where it was the last time and nothing is open there, it is forgotten: the answer is its length.
    pub(super) fn unname(&mut self, number: u32) -> Option<usize> {
        let place = self.places.get_mut(&number)?;
        place.uses = place.uses.saturating_sub(1);
        if place.uses > 0 || place.file.is_some() {
            return None;
        }
        let place = self.places.remove(&number)?;
        self.numbers.remove(&place.handle);
        Some(place.handle.len())
    }

    pub(super) fn open(&mut self, number: u32, path: Text) {
        if let Some(place) = self.places.get_mut(&number) {
            let file = File {
                path,
                read: 0,
                written: 0,
            };
            self.files += usize::from(place.file.replace(file).is_none());
        }
    }

    pub(super) fn close(&mut self, number: u32) -> Option<File> {
        let file = self.places.get_mut(&number)?.file.take()?;
        self.files -= 1;
        Some(file)
    }

    pub(super) fn file(&self, number: u32) -> Option<&File> {
        self.places.get(&number)?.file.as_ref()
    }

    pub(super) fn file_mut(&mut self, number: u32) -> Option<&mut File> {
        self.places.get_mut(&number)?.file.as_mut()
    }

    pub(super) fn called(&self, number: u32) -> Option<&[u8]> {
        self.places.get(&number).map(|place| &*place.handle)
    }

    /// How many are open.
    pub(super) const fn files(&self) -> usize {
        self.files
    }

    pub(super) fn into_files(self) -> impl Iterator<Item = File> {
        self.places.into_values().filter_map(|place| place.file)
    }
}
