//! Routes that say what they need. The whole server is made of these, so there is no route whose need is not stated.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    routing::{MethodRouter, get, post},
};

use crate::{app::App, auth::needs::Need};

/// One method of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Such as `/builds/{id}`.
    pub path: &'static str,
    /// Such as `GET`, which answers `HEAD` as well.
    pub method: &'static str,
    /// What is needed.
    pub need: Need,
}

/// A router and what is in it.
#[derive(Default)]
pub struct Routes {
    router: Router<Arc<App>>,
    list: Vec<Route>,
}

impl Routes {
    /// No routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Some methods of an address, with what each needs.
    pub fn on(mut self, path: &'static str, methods: &[(&'static str, Need)], handlers: MethodRouter<Arc<App>>) -> Self {
        self.list.extend(methods.iter().map(|(method, need)| Route { path, method, need: *need }));
        self.router = self.router.route(path, handlers);
        self
    }

    /// `GET` of an address.
    pub fn get<H: Handler<T, Arc<App>>, T: 'static>(self, path: &'static str, need: Need, handler: H) -> Self {
        self.on(path, &[("GET", need)], get(handler))
    }

    /// `POST` of an address.
    pub fn post<H: Handler<T, Arc<App>>, T: 'static>(self, path: &'static str, need: Need, handler: H) -> Self {
        self.on(path, &[("POST", need)], post(handler))
    }

    /// These and others.
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.list.extend(other.list);
        self
    }

    /// Layers and fallbacks around what is there by now.
    pub fn around(mut self, layers: impl FnOnce(Router<Arc<App>>) -> Router<Arc<App>>) -> Self {
        self.router = layers(self.router);
        self
    }

    /// What is there, for the page of permissions and the test that walks it.
    #[cfg(test)]
    pub fn list(&self) -> &[Route] {
        &self.list
    }

    /// The router itself.
    pub fn router(self) -> Router<Arc<App>> {
        self.router
    }
}
