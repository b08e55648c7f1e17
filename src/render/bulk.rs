//! Repositories by the hundred: counted by their top-level group, so that what matters is not scrolled away by them.

use std::collections::BTreeMap;

use super::text::{count, sanitize};
use crate::model::Address;

/// So many repositories of one kind are still listed one by one.
pub(super) const FEW: usize = 40;
/// How many groups are named in a line.
const NAMED: usize = 4;

/// The top-level group, or user, that a repository is in.
pub(super) fn top_group(address: &Address) -> Option<&str> {
    match address {
        Address::Repository(path) => Some(path.top_level()),
        _ => None,
    }
}

/// Several repositories by their number and groups, anything else by its address.
pub(super) fn subject<'a>(addresses: impl ExactSizeIterator<Item = &'a Address> + Clone) -> String {
    let many = addresses.len();
    match addresses.clone().next() {
        Some(only) if many < 2 => return sanitize(&only.to_string()).into_owned(),
        _ => {}
    }
    let number = count(many as u64, "repository", "repositories");
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for group in addresses.filter_map(top_group) {
        *groups.entry(group).or_default() += 1;
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let rest = groups.len().saturating_sub(NAMED);
    groups.truncate(NAMED);
    let mut named: Vec<String> = groups
        .into_iter()
        .map(|(group, number)| format!("{} {number}", sanitize(group)))
        .collect();
    if rest > 0 {
        named.push(count(rest as u64, "other group", "other groups"));
    }
    format!("{number} ({})", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::subject;
    use crate::model::{Address, FullPath};

    #[test]
    fn many_are_named_by_their_groups_with_the_largest_first() {
        let paths = ["a/x", "b/x", "b/y", "c/x", "d/x", "e/x", "f/x"];
        let paths = paths.map(|path| Address::Repository(FullPath::new(path)));
        assert_eq!(
            subject(paths.iter()),
            "7 repositories (b 2, a 1, c 1, d 1, 2 other groups)"
        );
        assert_eq!(subject(paths[..1].iter()), "factory.repository[\"a/x\"]");
    }
}
