//! GitLab's web side, for what its API cannot do: signing in by form, the admin pages of applications, impersonation,
//! and the pages of OAuth. Sessions are held at `gitlab.url`; nothing follows a redirect to anywhere else.

mod admin;
mod application_form;
mod droid;
mod forms;
mod oauth;
mod pages;
mod session;
mod sign_in;
mod totp;

pub use admin::AdminSession;
pub use droid::{Droid, DroidSignIn};
pub use session::WebOptions;
pub use sign_in::Account;
pub use totp::{Clock, SystemClock, Totp, TotpError};
