//! Scopes and ids of resources at ARM: which text is one. What is put into a path is looked at here, so that no configuration reaches
//! another place than it names.

use super::ids::is_guid;

/// The longest id that is taken, in characters. ARM's own longest are under a thousand.
const MOST: usize = 1024;

/// What a scope must look like, for people.
pub(super) const SCOPE: &str = "a scope is /subscriptions/GUID, a resource group or resource in one, or \
                                /providers/Microsoft.Management/managementGroups/NAME";

/// Whether role assignments can be made at it.
pub(super) fn is_scope(text: &str) -> bool {
    let Some(parts) = parts(text) else {
        return false;
    };
    match parts.as_slice() {
        [providers, management, groups, _name] if is(providers, "providers") => {
            is(management, "Microsoft.Management") && is(groups, "managementGroups")
        }
        [subscriptions, id] => is(subscriptions, "subscriptions") && is_guid(id),
        [subscriptions, id, groups, _name, rest @ ..] => {
            is(subscriptions, "subscriptions")
                && is_guid(id)
                && is(groups, "resourceGroups")
                && is_resource(rest)
        }
        _ => false,
    }
}

/// Whether it is a virtual machine.
pub(super) fn is_vm(text: &str) -> bool {
    let parts = parts(text).unwrap_or_default();
    let [subscriptions, id, groups, _, providers, compute, vms, _] = parts.as_slice() else {
        return false;
    };
    is(subscriptions, "subscriptions")
        && is_guid(id)
        && is(groups, "resourceGroups")
        && is(providers, "providers")
        && is(compute, "Microsoft.Compute")
        && is(vms, "virtualMachines")
}

/// The subscription that a resource is in, as `/subscriptions/GUID`; `None` for a management group.
pub(super) fn subscription(scope: &str) -> Option<String> {
    let parts = parts(scope)?;
    match parts.as_slice() {
        [subscriptions, id, ..] if is(subscriptions, "subscriptions") => {
            Some(format!("/subscriptions/{}", id.to_ascii_lowercase()))
        }
        _ => None,
    }
}

/// Whether what is given at `upper` holds at `lower` as well. A management group may be above any subscription.
pub(super) fn covers(upper: &str, lower: &str) -> bool {
    let (upper, lower) = (upper.to_ascii_lowercase(), lower.to_ascii_lowercase());
    if upper.starts_with("/providers/microsoft.management/") || upper == "/" {
        return true;
    }
    lower == upper
        || lower
            .strip_prefix(&upper)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// `providers/NAMESPACE`, then pairs of a type and a name.
fn is_resource(rest: &[&str]) -> bool {
    match rest {
        [] => true,
        [providers, _namespace, pairs @ ..] => {
            is(providers, "providers") && !pairs.is_empty() && pairs.len() % 2 == 0
        }
        _ => false,
    }
}

fn is(part: &str, word: &str) -> bool {
    part.eq_ignore_ascii_case(word)
}

/// The parts of an id, where it is made of nothing that means something in a URL.
fn parts(text: &str) -> Option<Vec<&str>> {
    let plain = |part: &&str| {
        !part.is_empty()
            && !part.chars().all(|c| c == '.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.()".contains(c))
    };
    let parts: Vec<_> = text.strip_prefix('/')?.split('/').collect();
    (text.len() <= MOST && parts.iter().all(plain)).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "/subscriptions/11111111-1111-1111-1111-111111111111";

    #[test]
    fn a_scope_is_told_from_what_only_looks_like_one() {
        let rg = format!("{SUB}/resourceGroups/web_(1).x-y");
        let vm = format!("{rg}/providers/Microsoft.Compute/virtualMachines/web-1");
        for good in [
            SUB,
            &rg,
            &vm,
            "/providers/Microsoft.Management/managementGroups/corp",
        ] {
            assert!(is_scope(good), "{good}");
        }
        let bad = [
            "",
            "/",
            "/subscriptions/mine",
            "/subscriptions/11111111-1111-1111-1111-111111111111/",
            "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups",
            "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/..",
            "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/a?b=c",
            "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/a%2fb",
            "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/a/providers/b/c",
            "https://evil.example/subscriptions/11111111-1111-1111-1111-111111111111",
            "/providers/Microsoft.Management/managementGroups/a/b",
        ];
        for bad in bad {
            assert!(!is_scope(bad), "{bad}");
        }
        assert!(is_vm(&vm) && !is_vm(&rg) && !is_vm(&format!("{vm}/x/y")));
        assert_eq!(subscription(&vm).as_deref(), Some(SUB));
    }

    #[test]
    fn what_is_given_above_holds_below() {
        let rg = format!("{SUB}/resourceGroups/web");
        assert!(covers(SUB, &rg) && covers(&rg.to_ascii_uppercase(), &rg));
        assert!(covers(
            "/providers/Microsoft.Management/managementGroups/corp",
            &rg
        ));
        assert!(!covers(&rg, SUB));
        assert!(!covers(&rg, &format!("{rg}2")), "a name that only begins so");
    }
}
