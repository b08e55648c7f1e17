//! The memory of the process, where every secret of a run is: it is written to no core dump, and no other process of the
//! same user may read it or attach to it. Root still can.

/// Keeps it private, as far as the system lets a process ask for that. What is started from here on dumps no core either.
#[cfg(unix)]
pub fn keep_memory_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Neither can fail for want of a right; a system that knows neither runs Setpoint all the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
}

/// Systems without core dumps have nothing to ask for.
#[cfg(not(unix))]
pub fn keep_memory_private() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn nobody_reads_it_and_no_core_is_dumped() {
        super::keep_memory_private();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    }
}
