//! GitLab's web side, for what its API cannot do: signing in by form, the admin pages of applications, impersonation,
//! and the pages of OAuth. Sessions are held at `gitlab.url`; nothing follows a redirect to anywhere else.

mod application_form;
mod forms;
mod oauth;
mod totp;

pub use totp::{Clock, SystemClock, Totp, TotpError};
