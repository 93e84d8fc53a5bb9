//! Environments: one name for roles on many resources. The policy in force says what it stands for; what is asked for are then
//! those items, and nothing remembers the name.

use std::collections::BTreeSet;

use daypass_core::environment::EnvironmentRole;
use daypass_core::name::{Item, Name};
use daypass_core::planted::{Fault, is};
use daypass_core::refusal::{Code, Refusal};

use crate::catalogue::{Onlooker, Terms};
use crate::condition::Supposing;
use crate::diagnostic::At;
use crate::document::Selector;
use crate::nearest::{did_you_mean, list};
use crate::refuse::{spaced, verb};
use crate::{Ask, Directory, Policy};

/// A named selection of resources, with roles that each of them is asked for by.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    pub(crate) name: Name,
    pub(crate) resources: Selector,
    pub(crate) roles: Vec<Role>,
}

/// A role of an environment.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) name: Name,
    pub(crate) at: At,
    pub(crate) stands: Vec<Stands>,
}

/// Which role of a resource of this kind it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Stands {
    pub(crate) kind: Name,
    pub(crate) kind_at: At,
    pub(crate) role: Name,
    pub(crate) role_at: At,
}

impl Environment {
    /// `debug: postgres read, command operator; …`
    pub(crate) fn roles_in_words(&self) -> String {
        let roles = self.roles.iter().map(|role| {
            let stands: Vec<String> = role
                .stands
                .iter()
                .map(|one| format!("{} {}", one.kind, one.role))
                .collect();
            format!("{}: {}", role.name, stands.join(", "))
        });
        roles.collect::<Vec<_>>().join("; ")
    }
}

/// A role of an environment, as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentOffer {
    /// How it is asked for.
    pub role: EnvironmentRole,
    /// What it stands for.
    pub items: BTreeSet<Item>,
    /// What it takes, or why this person may not have it.
    pub terms: Result<Terms, Refusal>,
    /// Whether a rule for emergencies admits this person to all of it.
    pub break_glass: bool,
}

impl Policy {
    /// What these stand for together.
    ///
    /// # Errors
    /// Where there is no such environment, or no such role of it, with what was probably meant.
    pub fn expand(&self, environments: &[EnvironmentRole]) -> Result<BTreeSet<Item>, Refusal> {
        let mut items = BTreeSet::new();
        for asked in environments {
            let (environment, role) = self.find_role(asked)?;
            items.extend(self.items_of(environment, role));
        }
        Ok(items)
    }

    /// Every role of every environment, and what it takes somebody to have it, in file order: as [`Policy::catalogue`] has those of
    /// resources.
    #[must_use]
    pub fn environments(&self, onlooker: &Onlooker<'_>, directory: &dyn Directory) -> Vec<EnvironmentOffer> {
        let mut offers = Vec::new();
        for environment in &self.document.environments {
            for role in &environment.roles {
                let items = self.items_of(environment, role);
                let named = [EnvironmentRole {
                    environment: environment.name.clone(),
                    role: role.name.clone(),
                }];
                let ask = Ask {
                    environments: &named,
                    ..onlooker.ask(&items)
                };
                let terms = self.choose(&ask, directory, Supposing::TheRest);
                let terms = terms.map(Terms::from).map(|mut terms| {
                    if let Some(depends) = &mut terms.depends {
                        let hint = depends.hint.take();
                        depends.hint = hint.map(|hint| self.by_its_name(&ask, &hint));
                    }
                    terms
                });
                let how = (directory, Supposing::TheRest);
                let terms = terms.map_err(|refusal| self.in_words_of(&ask, how, refusal));
                let admitting = directory
                    .person(onlooker.who)
                    .map(|person| self.admitting(person, &items));
                let break_glass = admitting
                    .unwrap_or_default()
                    .iter()
                    .any(|(_, rule)| rule.break_glass.is_some());
                let [role] = named;
                offers.push(EnvironmentOffer {
                    role,
                    items,
                    terms,
                    break_glass,
                });
            }
        }
        offers
    }

    fn find_role(&self, asked: &EnvironmentRole) -> Result<(&Environment, &Role), Refusal> {
        let EnvironmentRole { environment, role } = asked;
        let all = &self.document.environments;
        let Some(found) = all.iter().find(|one| one.name == *environment) else {
            let known = all.iter().map(|one| one.name.as_str());
            let hint = did_you_mean(environment.as_str(), known, "daypass ls shows what there is");
            let what = format!("there is no environment {environment}");
            return Err(Refusal::new(Code::UnknownResource, what).hint(hint));
        };
        let Some(of) = found.roles.iter().find(|one| one.name == *role) else {
            let known = || found.roles.iter().map(|one| one.name.as_str());
            let hint = did_you_mean(role.as_str(), known(), format!("it has {}", list(known())));
            let what = format!("the environment {environment} has no role {role}");
            return Err(Refusal::new(Code::UnknownRole, what).hint(hint));
        };
        Ok((found, of))
    }

    fn items_of(&self, environment: &Environment, role: &Role) -> BTreeSet<Item> {
        let selected = self.document.resources.iter();
        let selected = selected.filter(|resource| environment.resources.admits(resource));
        selected
            .take(if is(Fault::PartOfEnvironment) {
                1
            } else {
                usize::MAX
            })
            .filter_map(|resource| {
                let stands = role.stands.iter().find(|one| one.kind == resource.kind)?;
                Some(Item {
                    resource: resource.name.clone(),
                    role: stands.role.clone(),
                })
            })
            .collect()
    }

    /// A refusal of what was asked for by the name of an environment: that name, what it stands for, and which of that stands in
    /// the way where the others do not.
    pub(crate) fn in_words_of(
        &self,
        ask: &Ask<'_>,
        (directory, supposing): (&dyn Directory, Supposing),
        refusal: Refusal,
    ) -> Refusal {
        if ask.environments.is_empty() {
            return refusal;
        }
        let names: Vec<String> = ask.environments.iter().map(ToString::to_string).collect();
        let items: Vec<String> = ask.items.iter().map(ToString::to_string).collect();
        let alone = |item: &&Item| {
            let items = BTreeSet::from([(*item).clone()]);
            let ask = Ask {
                items: &items,
                environments: &[],
                ..*ask
            };
            self.choose(&ask, directory, supposing).is_err()
        };
        let refused: Vec<String> = ask.items.iter().filter(alone).map(ToString::to_string).collect();
        let in_the_way = match refused.as_slice() {
            all if all.len() == items.len() => String::new(),
            [] => String::from("; one rule must fit every item"),
            some => format!(
                "; one rule must fit every item, and in the way stands {}",
                list(some.iter().map(String::as_str))
            ),
        };
        let names = names.join(" and ");
        let items = list(items.iter().map(String::as_str));
        let what = format!("{names} ({items}): {}{in_the_way}", refusal.what);
        Refusal {
            what,
            // One that asks for an item by itself stays.
            hint: refusal.hint.map(|hint| match refusal.code {
                Code::NoCommonRule | Code::NotEligible => hint,
                _ => self.by_its_name(ask, &hint),
            }),
            ..refusal
        }
    }

    /// A hint that names the environments that were asked for, where it names all that they stand for.
    fn by_its_name(&self, ask: &Ask<'_>, hint: &str) -> String {
        let command = |what: String| format!("daypass {} {what}", verb(ask));
        hint.replace(&command(spaced(ask.items)), &command(self.typed(ask)))
    }

    /// What was asked for as a command line has it.
    fn typed(&self, ask: &Ask<'_>) -> String {
        let covered = self.expand(ask.environments).unwrap_or_default();
        let names = ask.environments.iter().map(ToString::to_string);
        let besides = ask.items.difference(&covered).map(ToString::to_string);
        names.chain(besides).collect::<Vec<_>>().join(" ")
    }
}
