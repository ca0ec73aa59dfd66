//! The registry as its clients see it: over HTTP, on a real database and a real folder.

mod chunks;
mod clients;
mod hostile;
mod house;
mod manifests;
mod pulls;
mod pushes;
mod restart;
mod rights;
