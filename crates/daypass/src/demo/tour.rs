//! What whoever watches may type next.

use std::path::Path;

use super::history::{History, TICKET};
use super::host::Host;
use super::lists::Lists;
use super::narrator::Narrator;
use super::target::Target;

/// What there is to see.
pub(super) struct Tour<'a> {
    /// Where the people's commands are.
    pub(super) bin: &'a Path,
    /// Where everybody's password is.
    pub(super) password: &'a Path,
    /// The database.
    pub(super) target: &'a Target,
    /// The host, where one can be logged in to.
    pub(super) host: Option<&'a Host>,
    /// The list of users, where there is one.
    pub(super) lists: Option<&'a Lists>,
    /// What waits.
    pub(super) history: &'a History,
    /// Where the pages are entered.
    pub(super) pages: &'a str,
}

impl Tour<'_> {
    /// Who is who, and commands worth trying.
    pub(super) fn invite(&self, narrator: Narrator) {
        narrator.heading("Now you, in a browser");
        narrator.line(&format!("  {}", self.pages));
        narrator.aside("You choose there who you are, and change it at any time. The address lets anybody in who has it.");
        narrator.heading("Or in another terminal");
        narrator.line(&format!("  export PATH={}:$PATH", self.bin.display()));
        narrator
            .aside("Each name is daypass as that person: ana and eve are engineers, bo is their manager,");
        narrator.aside("cy is security, dee the auditor, root the administrator.");
        for (command, why) in self.commands() {
            narrator.line(&format!("  {command}"));
            narrator.aside(&format!("  # {why}"));
        }
        narrator.blank();
        narrator.aside(&format!(
            "When bo's proof is too old: bo confirm --password-stdin <{}",
            self.password.display()
        ));
        if let Some(lists) = self.lists {
            narrator.aside(&format!("The program's list of users: {}", lists.shown_by()));
        }
        narrator.aside("Ctrl-C here stops and removes everything.");
    }

    /// Each with what it shows. In this order each works as it stands.
    fn commands(&self) -> Vec<(String, String)> {
        let mut all = vec![told("ana ls", "what ana may ask for, and what it takes")];
        let (waits, change) = (self.history.waits.short(), self.history.change.short());
        all.push(told(
            &format!("bo approve {waits}"),
            "eve's request waits for bo, as `bo inbox` shows; the rule asks for one",
        ));
        all.push(match self.target.client() {
            Some(client) => told(
                "ana connect orders-prod/read",
                &format!(
                    "{client}, which the deadline would cut; hers by the ticket {TICKET}, three times a day at most"
                ),
            ),
            None => told(
                "ana",
                &format!("what ana holds, by the ticket {TICKET}: three times a day at most"),
            ),
        });
        all.push(told(
            &format!("root ticket closed {TICKET}"),
            "the work is done, and the access ends",
        ));
        all.push(told(
            "ana request env:staging/debug --wait --reason \"a look\"",
            &format!("one request for {}; nobody need agree", self.staging()),
        ));
        if let Some(host) = self.host {
            all.push(told(
                "ana ssh web-1/shell --reason \"a look\"",
                &format!(
                    "a shell of {} on this machine, by a certificate of five minutes",
                    host.user()
                ),
            ));
        }
        all.push(told(
            "bo break-glass orders-prod/write --reason \"the shop is down\"",
            "at once, with a proof of who bo is of less than ten minutes (mfa); security must look back at it",
        ));
        all.push(told(
            "cy inbox",
            &format!("that look back; and {change}, root's change of the policy, which cy must agree to"),
        ));
        all
    }

    /// What the environment stands for.
    fn staging(&self) -> String {
        let mut parts = vec!["the database"];
        parts.extend(self.host.map(|_| "the host"));
        parts.extend(self.lists.map(|_| "a program's list of users"));
        match parts.as_slice() {
            [only] => (*only).to_owned(),
            [rest @ .., last] => format!("{} and {last} together", rest.join(", ")),
            [] => String::new(),
        }
    }
}

fn told(command: &str, why: &str) -> (String, String) {
    (command.to_owned(), why.to_owned())
}
