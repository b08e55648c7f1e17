//! From text to what is desired, or to all the faults of the text with their places.

mod types;

pub use types::{
    AdminSessionConfig, ChangeWindow, Config, Driver, DroidConfig, FactoryConfig, GitlabConfig, HttpStateConfig,
    Region, SaveTo, SecretStoreConfig, StateConfig,
};
