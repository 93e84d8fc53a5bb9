//! Which scope lies within which: resources in groups, groups in subscriptions, these in management groups.

use super::world::Data;

/// An address below ARM, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// What lies before the last provider: `/subscriptions/…/resourceGroups/…`, with a slash at its beginning, or empty.
    pub(super) scope: String,
    /// `Microsoft.Network`, as it was written; empty where there is none.
    pub(super) namespace: String,
    /// The types, in small letters, with slashes: `networksecuritygroups/securityrules`.
    pub(super) kind: String,
    /// The types as they were written.
    pub(super) kinds: Vec<String>,
    /// The names.
    pub(super) names: Vec<String>,
}

impl Target {
    /// Takes a path apart at its last `/providers/`.
    pub(super) fn of(path: &str) -> Self {
        let lower = path.to_ascii_lowercase();
        let cut = lower.rfind("/providers/");
        let (scope, rest) = match cut {
            Some(at) => (
                path.get(..at).unwrap_or_default(),
                path.get(at + "/providers/".len()..).unwrap_or_default(),
            ),
            None => (path, ""),
        };
        let mut parts = rest.split('/').filter(|part| !part.is_empty());
        let namespace = parts.next().unwrap_or_default().to_owned();
        let mut kinds = Vec::new();
        let mut names = Vec::new();
        for (index, part) in parts.enumerate() {
            if index % 2 == 0 {
                kinds.push(part.to_owned());
            } else {
                names.push(part.to_owned());
            }
        }
        Self {
            scope: scope.to_owned(),
            namespace,
            kind: kinds.join("/").to_ascii_lowercase(),
            kinds,
            names,
        }
    }

    /// The name at that place; empty where it is not there.
    pub(super) fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("", String::as_str)
    }

    /// The scope that holds it, with everything of the provider up to so many types and names: the id of a parent.
    pub(super) fn parent(&self, levels: usize) -> String {
        let mut id = format!("{}/providers/{}", self.scope, self.namespace);
        for (kind, name) in self.kinds.iter().zip(&self.names).take(levels) {
            id.push_str(&format!("/{kind}/{name}"));
        }
        id
    }
}

/// How ids are compared: Azure does not tell small letters from capitals.
pub(super) fn key(id: &str) -> String {
    id.trim_end_matches('/').to_ascii_lowercase()
}

/// `/subscriptions/x` of anything below it.
pub(super) fn subscription(id: &str) -> Option<String> {
    let key = key(id);
    let rest = key.strip_prefix("/subscriptions/")?;
    let name = rest.split('/').next()?;
    Some(format!("/subscriptions/{name}"))
}

/// Whether what is given at `outer` holds at `inner` too.
pub(super) fn covers(data: &Data, outer: &str, inner: &str) -> bool {
    let (outer, inner) = (key(outer), key(inner));
    if outer.is_empty() || outer == inner || inner.starts_with(&format!("{outer}/")) {
        return true;
    }
    let mut at = subscription(&inner).unwrap_or(inner);
    while let Some(parent) = data.parents.get(&at) {
        if *parent == outer {
            return true;
        }
        at.clone_from(parent);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_at_its_last_provider() {
        let at = Target::of(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v/providers/Microsoft.Authorization/roleAssignments/a",
        );
        assert_eq!(
            at.scope,
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v"
        );
        assert_eq!((at.kind.as_str(), at.name(0)), ("roleassignments", "a"));
        let at =
            Target::of("/subscriptions/s/providers/Microsoft.Network/networkSecurityGroups/n/securityRules");
        assert_eq!(at.kind, "networksecuritygroups/securityrules");
        assert_eq!(at.names, ["n"]);
        assert_eq!(
            at.parent(1),
            "/subscriptions/s/providers/Microsoft.Network/networkSecurityGroups/n"
        );
    }

    #[test]
    fn a_management_group_covers_what_lies_below_its_subscriptions_and_nothing_else() {
        let mut data = Data::default();
        let (root, child) = (
            "/providers/microsoft.management/managementgroups/root",
            "/providers/microsoft.management/managementgroups/child",
        );
        data.parents.insert(child.to_owned(), root.to_owned());
        data.parents
            .insert("/subscriptions/s".to_owned(), child.to_owned());
        for outer in [
            "",
            "/",
            root,
            child,
            "/subscriptions/S",
            "/subscriptions/s/resourceGroups/g",
        ] {
            assert!(
                covers(&data, outer, "/subscriptions/s/resourcegroups/g/x"),
                "{outer}"
            );
        }
        for outer in [
            "/subscriptions/other",
            "/subscriptions/s/resourceGroups/g2",
            "/subscriptions/s/resourceGroups/g/x/y",
        ] {
            assert!(
                !covers(&data, outer, "/subscriptions/s/resourcegroups/g/x"),
                "{outer}"
            );
        }
        assert!(!covers(&data, root, "/subscriptions/t"));
        assert!(!covers(
            &data,
            "/subscriptions/s/resourceGroups/g",
            "/subscriptions/s/resourceGroups/g2"
        ));
    }
}
