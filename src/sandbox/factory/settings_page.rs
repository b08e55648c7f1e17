//! Factory's settings page, with the fields and buttons that its guide names.

use axum::Router;

use crate::sandbox::state::App;

/// The routes of this module.
pub(super) fn router() -> Router<App> {
    Router::new()
}
