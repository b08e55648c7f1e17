//! Which side moved: the three-way comparison of what is desired, what is live and what was recorded, attribute by
//! attribute.
//!
//! | desired | live | recorded | origin |
//! |---|---|---|---|
//! | a | b | b | `pending`: the file changed |
//! | a | b | a | `drift`: the live side changed |
//! | a | b | c | `both` |
//! | a | b | – | `unrecorded` |
//! | a | – | – | `pending`: nothing is there yet |

use crate::model::Origin;

/// What the attributes of one resource say, gathered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Origins {
    file_moved: bool,
    live_moved: bool,
    unrecorded: bool,
}

impl Origins {
    /// Compares one attribute; `None` stands for "there is none". Returns whether desired and live differ.
    pub(super) fn compare<T: PartialEq + ?Sized>(
        &mut self,
        desired: Option<&T>,
        live: Option<&T>,
        recorded: Option<&T>,
    ) -> bool {
        if desired == live {
            return false;
        }
        match (live, recorded) {
            (None, None) => self.file_moved = true,
            (Some(_), None) => self.unrecorded = true,
            (_, Some(_)) => {
                self.file_moved |= desired != recorded;
                self.live_moved |= live != recorded;
            }
        }
        true
    }

    /// Adds what is known from elsewhere.
    pub(super) fn add(&mut self, origin: Origin) {
        match origin {
            Origin::Pending => self.file_moved = true,
            Origin::Drift => self.live_moved = true,
            Origin::Both => {
                self.file_moved = true;
                self.live_moved = true;
            }
            Origin::Unrecorded => self.unrecorded = true,
        }
    }

    /// The resource's origin. What an interrupted run of ours left half done and unrecorded is pending.
    pub(super) fn resolve(self, interrupted: bool) -> Origin {
        let Self {
            file_moved,
            live_moved,
            unrecorded,
        } = self;
        match (file_moved, live_moved, unrecorded) {
            (true, true, _) => Origin::Both,
            (true, false, true) if !interrupted => Origin::Both,
            (false, true, _) => Origin::Drift,
            (false, false, true) if !interrupted => Origin::Unrecorded,
            (true | false, false, _) => Origin::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Origins;
    use crate::model::Origin;

    fn of(attributes: &[(Option<&str>, Option<&str>, Option<&str>)], interrupted: bool) -> Origin {
        let mut origins = Origins::default();
        for (desired, live, recorded) in attributes {
            origins.compare(*desired, *live, *recorded);
        }
        origins.resolve(interrupted)
    }

    #[test]
    fn one_attribute() {
        let (a, b, c) = (Some("a"), Some("b"), Some("c"));
        for (attribute, expected) in [
            ((a, b, b), Origin::Pending),
            ((a, b, a), Origin::Drift),
            ((a, b, c), Origin::Both),
            ((a, b, None), Origin::Unrecorded),
            ((a, None, None), Origin::Pending),
            ((a, None, a), Origin::Drift),
            ((a, None, b), Origin::Both),
            ((None, a, a), Origin::Pending),
            ((None, a, b), Origin::Both),
            ((None, a, None), Origin::Unrecorded),
        ] {
            assert_eq!(of(&[attribute], false), expected, "{attribute:?}");
        }
    }

    #[test]
    fn several_attributes_add_up_and_equal_ones_say_nothing() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(of(&[(a, b, b), (a, b, a)], false), Origin::Both);
        assert_eq!(of(&[(a, b, a), (a, a, b)], false), Origin::Drift);
        assert_eq!(of(&[(a, b, None), (a, b, a)], false), Origin::Drift);
        assert_eq!(of(&[(a, b, None), (a, b, b)], false), Origin::Both);
    }

    #[test]
    fn what_an_interrupted_run_left_is_pending() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(of(&[(a, b, None)], true), Origin::Pending);
        assert_eq!(of(&[(a, b, a)], true), Origin::Drift);
    }
}
