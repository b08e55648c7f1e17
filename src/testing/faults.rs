//! Where a run is made to go wrong, and how.

use crate::http::ErrorKind;

/// What becomes of a call.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It fails, and was carried out or not.
    Fail { kind: ErrorKind, processed: bool },
    /// The process ends at it, before or after it was carried out.
    Die { processed: bool },
}

/// Where something goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    call: Option<usize>,
    name: &'static str,
    fault: Fault,
}

/// At the call of this number, counted from one.
pub(crate) fn at_call(number: usize, fault: Fault) -> Cut {
    Cut {
        call: Some(number),
        name: "",
        fault,
    }
}

/// At every call of which the name begins so.
pub(crate) fn at(name: &'static str, fault: Fault) -> Cut {
    Cut {
        call: None,
        name,
        fault,
    }
}

impl Cut {
    /// What goes wrong at this call, if anything does.
    pub(super) fn fault_at(&self, number: usize, name: &str) -> Option<Fault> {
        let is_here = self.call.is_none_or(|call| call == number) && name.starts_with(self.name);
        is_here.then(|| self.fault.clone())
    }
}
