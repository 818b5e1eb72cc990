//! The OpenAPI document, made from the list of routes.

use crate::routes::{In, ROUTES, Route};
use axum::Json;
use serde_json::{Map, Value, json};

/// `GET /api/openapi.json`.
pub(crate) async fn document() -> Json<Value> {
    Json(build())
}

fn build() -> Value {
    let paths: Map<String, Value> = ROUTES
        .iter()
        .map(|route| (route.path.to_owned(), json!({ (route.method): operation(route) })))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "taptrail",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Everything is read only. Every 64-bit integer, decimal and time (ns \
                            since the epoch, UTC) is text, so that no digit is lost. Times are \
                            as stamped at the point; latencies are clock-corrected, in ns.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": error_schema()}},
    })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "A word for programs."},
                "message": {"type": "string", "description": "A sentence for people."},
            },
        }},
    })
}

fn operation(route: &Route) -> Value {
    let parameters = route.params.iter().map(|param| {
        json!({
            "name": param.1,
            "in": if param.0 == In::Path { "path" } else { "query" },
            "required": param.0 == In::Path,
            "description": param.2,
            "schema": {"type": "string"},
        })
    });
    let error = json!({
        "description": "What was wrong with the request, or why it could not be answered.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    });
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "default": error,
        },
    });
    if route.method == "post" {
        operation["requestBody"] = statement();
        operation["responses"]["200"]["content"]["text/csv"] =
            json!({"schema": {"type": "string"}});
    }
    operation
}

/// The body of the one route that takes one.
fn statement() -> Value {
    json!({
        "required": true,
        "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["sql"],
            "properties": {
                "sql": {"type": "string", "description": "One statement that reads."},
                "limit": {"type": "integer", "description": "Rows of a JSON answer."},
            },
        }}},
    })
}

/// The path's words: `get_api_hops_series`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '.', '{', '}']).filter(|word| !word.is_empty());
    words.fold(route.method.to_owned(), |id, word| format!("{id}_{word}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_route_is_in_it_with_its_parameters() {
        let document = build();
        let mut ids = HashSet::new();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method];
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
            let named: HashSet<&str> = route.params.iter().map(|param| param.1).collect();
            for word in route.path.split('/').filter(|word| word.starts_with('{')) {
                assert!(named.contains(word.trim_matches(['{', '}'])), "{}: {word}", route.path);
            }
            assert_eq!(operation["parameters"].as_array().unwrap().len(), route.params.len());
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), ROUTES.len());
    }
}
