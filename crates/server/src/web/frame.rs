//! What all pages share: where one is, who one is, what waits.

use daypass_api::person::SystemRole;

use crate::personas::Persona;

/// Where one is, on the rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Access,
    Catalogue,
    Approvals,
    Sessions,
    Who,
    Audit,
    Policy,
    Reports,
    Health,
    Account,
}

impl Tab {
    /// All of them, as they stand there.
    const ALL: [Self; 10] = [
        Self::Access,
        Self::Catalogue,
        Self::Approvals,
        Self::Sessions,
        Self::Who,
        Self::Audit,
        Self::Policy,
        Self::Reports,
        Self::Health,
        Self::Account,
    ];

    /// Whether it is for this one. That the API refuses the others is not decided here.
    fn is_for(self, role: SystemRole) -> bool {
        match self {
            Self::Audit | Self::Policy | Self::Reports | Self::Health => {
                matches!(role, SystemRole::Auditor | SystemRole::Administrator)
            }
            _ => true,
        }
    }

    /// Where it leads.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Access => "/",
            Self::Catalogue => "/catalogue",
            Self::Approvals => "/approvals",
            Self::Sessions => "/sessions",
            Self::Who => "/who",
            Self::Audit => "/audit",
            Self::Policy => "/policy",
            Self::Reports => "/reports",
            Self::Health => "/health",
            Self::Account => "/account",
        }
    }

    /// What it is called.
    const fn name(self) -> &'static str {
        match self {
            Self::Access => "My access",
            Self::Catalogue => "Catalogue",
            Self::Approvals => "Approvals",
            Self::Sessions => "Sessions",
            Self::Who => "Who has what",
            Self::Audit => "Audit",
            Self::Policy => "Policy",
            Self::Reports => "Reports",
            Self::Health => "Health",
            Self::Account => "Account",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) tab: Tab,
    pub(super) title: String,
    pub(super) login: String,
    pub(super) rail: Vec<Place>,
    /// Who one could be as well, in a demo; nobody anywhere else.
    pub(super) cast: Vec<Persona>,
}

/// A place on the rail.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) is_here: bool,
    /// How much waits there, in few characters; nothing where nothing does.
    pub(super) waiting: Option<String>,
}

impl Frame {
    /// So much is counted of what waits.
    pub(super) const MOST: u32 = 50;

    /// `waiting`: how much does, and whether there are more.
    pub(super) fn new(
        (tab, title): (Tab, &str),
        (login, role): (&str, SystemRole),
        (waiting, more): (usize, bool),
    ) -> Self {
        let plus = if more { "+" } else { "" };
        let place = |one: Tab| Place {
            path: one.path(),
            name: one.name(),
            is_here: one == tab,
            waiting: (one == Tab::Approvals && waiting > 0).then(|| format!("{waiting}{plus}")),
        };
        Self {
            tab,
            title: title.to_owned(),
            login: login.to_owned(),
            rail: Tab::ALL
                .into_iter()
                .filter(|one| one.is_for(role))
                .map(place)
                .collect(),
            cast: Vec::new(),
        }
    }
}
