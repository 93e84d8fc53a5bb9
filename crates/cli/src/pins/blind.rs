//! A guard that cannot look, because what it is to look with is missing: `DAYPASS_LOG_KEY` names what is no key, or there is no home to
//! keep in what was seen. It says so, and lets through what takes access away: in an emergency that is no obstacle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use daypass_api::client::{Admission, Call, Client, Error, Guard};

use super::doubt;
use crate::failure::Failure;
use crate::line::{Line, Style};
use crate::output::Output;

/// Why nobody can look.
pub(crate) struct Blind {
    what: String,
    hint: String,
    out: Output,
    told: AtomicBool,
}

impl Blind {
    /// A guard that fails like this wherever more is asked than what only reads or takes away.
    pub(crate) fn new(why: &Failure, out: Output) -> Arc<Self> {
        let (what, hint) = why.told();
        Arc::new(Self {
            what: format!("the server's log cannot be looked at: {what}"),
            hint: hint.unwrap_or("do without DAYPASS_LOG_KEY").to_owned(),
            out,
            told: AtomicBool::new(false),
        })
    }
}

impl Guard for Blind {
    fn admits<'a>(&'a self, _client: &'a Client, call: Call) -> Admission<'a> {
        Box::pin(async move {
            if !doubt::goes_on(call) {
                return Err(Error::Setup(format!("{} (try: {})", self.what, self.hint)));
            }
            if !self.told.swap(true, Ordering::Relaxed) {
                let line = Line::new().with(Style::Bad, "! ").text(&self.what);
                self.out.warn(line);
                self.out
                    .warn(Line::new().text("  This goes on, for it only reads or takes access away"));
                self.out.warn(Line::new().text("  Try: ").text(&self.hint));
            }
            Ok(())
        })
    }
}
