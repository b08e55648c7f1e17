//! Factory: the contract's API, the redirect URI that GitLab sends the browser back to, and the settings page.
//!
//! One listener serves what Factory has on two hosts. It is a real relying party: it exchanges the code at GitLab's
//! token endpoint and reads GitLab's API as the user who approved, over sockets, so that whatever GitLab would refuse
//! it is refused here too. Only its name service is a toy, see [`gitlab_client`].

mod api;
mod connect;
mod gitlab_client;
mod integration;
mod settings_page;

use axum::Router;

use super::state::App;

pub(crate) use integration::LEGACY_PATH as REDIRECT_PATH;

/// All of Factory; API and app share one server.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .merge(api::router())
        .merge(connect::router())
        .merge(settings_page::router())
}
