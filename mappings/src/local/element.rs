//! Which elements exist: FHIR R4 resources and data types, and the rows of our own feeds.
//!
//! Two texts beside this file say it; the order of their lines is the order in which elements are printed.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::kind::Kinds;

/// One type: a resource, a data type, or an inner block such as `Patient.contact`.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) elements: Vec<Element>,
}

/// One element of a type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element {
    /// As in the definition: `status`, `value[x]`.
    pub(crate) name: &'static str,
    /// At least one must be there.
    pub(crate) required: bool,
    /// Several may be there: printed as a list.
    pub(crate) many: bool,
    types: &'static str,
}

/// An element as a mapping names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Printed order.
    pub(crate) order: u16,
    /// Must be there.
    pub(crate) required: bool,
    /// Printed as a list.
    pub(crate) many: bool,
    /// The type of the value: `code`, `CodeableConcept`, `Patient.contact`.
    pub(crate) kind: &'static str,
    /// The whole choice (`value[x]`), for a result.
    pub(crate) is_choice: bool,
}

static SHAPES: LazyLock<HashMap<&'static str, Shape>> = LazyLock::new(|| {
    let mut shapes = HashMap::new();
    for text in [include_str!("fhir-r4.txt"), include_str!("rows.txt")] {
        read(text, &mut shapes);
    }
    shapes
});

fn read(text: &'static str, shapes: &mut HashMap<&'static str, Shape>) {
    let mut current: Option<Shape> = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix(' ').and_then(|line| line.split_once(' ')) {
            Some((name, types)) => {
                let bare = name.trim_end_matches(['!', '+']);
                if let Some(shape) = &mut current {
                    shape.elements.push(Element {
                        name: bare,
                        required: name[bare.len()..].contains('!'),
                        many: name.ends_with('+'),
                        types,
                    });
                }
            }
            None if !line.is_empty() => {
                let next = Shape {
                    name: line,
                    elements: Vec::new(),
                };
                if let Some(done) = current.replace(next) {
                    shapes.insert(done.name, done);
                }
            }
            None => {}
        }
    }
    if let Some(done) = current {
        shapes.insert(done.name, done);
    }
}

/// The shape of a type; `None` for simple types.
pub(crate) fn shape(name: &str) -> Option<&'static Shape> {
    SHAPES.get(name)
}

/// Whether this is a FHIR resource a mapping may emit.
pub(crate) fn is_resource(name: &str) -> bool {
    shape(name).is_some_and(|shape| {
        shape
            .elements
            .iter()
            .any(|element| element.name == "implicitRules")
    })
}

/// Names of all resources.
pub(crate) fn resources() -> impl Iterator<Item = &'static str> {
    SHAPES.keys().copied().filter(|name| is_resource(name))
}

/// Names of all types, sorted.
pub(crate) fn shapes() -> Vec<&'static str> {
    let mut names: Vec<&str> = SHAPES.keys().copied().collect();
    names.sort_unstable();
    names
}

/// Types whose JSON value is a string, number or boolean.
pub(crate) fn is_primitive(kind: &str) -> bool {
    accepts(kind).is_some()
}

/// Types that may stand where a definition says `*`.
const OPEN_TYPES: &[&str] = &[
    "boolean",
    "integer",
    "positiveInt",
    "unsignedInt",
    "decimal",
    "string",
    "markdown",
    "code",
    "id",
    "uri",
    "url",
    "canonical",
    "date",
    "dateTime",
    "instant",
    "time",
    "base64Binary",
    "Address",
    "Age",
    "Annotation",
    "Attachment",
    "CodeableConcept",
    "Coding",
    "ContactPoint",
    "Duration",
    "HumanName",
    "Identifier",
    "Period",
    "Quantity",
    "Range",
    "Ratio",
    "Reference",
    "Timing",
    "Dosage",
    "Meta",
];

impl Element {
    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let open: &'static [&'static str] = if self.types == "*" { OPEN_TYPES } else { &[] };
        let own = if self.types == "*" { "" } else { self.types };
        own.split('|')
            .filter(|name| !name.is_empty())
            .map(|name| name.trim_start_matches('='))
            .chain(open.iter().copied())
    }

    fn base(&self) -> Option<&'static str> {
        self.name.strip_suffix("[x]")
    }
}

impl Shape {
    /// Finds an element by the name a mapping writes: `status`, `valueQuantity`, `value[x]`, `_birthDate`.
    pub(crate) fn find(&self, name: &str) -> Option<Found> {
        let extension = |order: u16, name: &'static str| Found {
            order,
            required: false,
            many: true,
            kind: name,
            is_choice: false,
        };
        match name {
            // Elements of every type, in the order of `Element` and `DomainResource`.
            "extension" if self.name != "Extension" => {
                return Some(extension(self.after_frame(), "Extension"));
            }
            "modifierExtension" => return Some(extension(self.after_frame() + 1, "Extension")),
            "id" if shape(self.name)
                .is_some_and(|own| own.elements.iter().all(|e| e.name != "id")) =>
            {
                return Some(Found {
                    many: false,
                    ..extension(1, "id")
                });
            }
            _ => {}
        }
        for (element, order) in self.elements.iter().zip(1_u16..) {
            let found = |kind, is_choice| {
                Some(Found {
                    order: order * 4,
                    required: element.required,
                    many: element.many,
                    kind,
                    is_choice,
                })
            };
            if let Some(base) = element.base() {
                if name == element.name {
                    return found("value[x]", true);
                }
                let bare = name.strip_prefix('_').unwrap_or(name);
                let suffix = bare.strip_prefix(base).unwrap_or("");
                let kind = element.kinds().find(|kind| same_type(kind, suffix));
                if let Some(kind) = kind {
                    return primitive_extension(name, kind, order).or_else(|| found(kind, false));
                }
            } else if name == element.name {
                return found(element.kinds().next().unwrap_or("string"), false);
            } else if name.strip_prefix('_') == Some(element.name) {
                let kind = element.kinds().next().unwrap_or("string");
                return primitive_extension(name, kind, order);
            }
        }
        None
    }

    /// Behind `id`, `meta`, `text` and `contained`, where extensions stand.
    fn after_frame(&self) -> u16 {
        let frame = [
            "id",
            "meta",
            "implicitRules",
            "language",
            "text",
            "contained",
        ];
        let own = self.elements.iter().take_while(|e| frame.contains(&e.name));
        u16::try_from(own.count()).unwrap_or(0) * 4 + 2
    }

    /// Every name a mapping may write here, for suggestions.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec!["extension".to_owned()];
        for element in &self.elements {
            match element.base() {
                None => names.push(element.name.to_owned()),
                Some(base) => {
                    names.push(element.name.to_owned());
                    names.extend(
                        element
                            .kinds()
                            .map(|kind| format!("{base}{}", capital(kind))),
                    );
                }
            }
        }
        names
    }

    /// The elements that must be there, by the name of their definition.
    pub(crate) fn required(&self) -> impl Iterator<Item = &'static str> {
        self.elements
            .iter()
            .filter(|element| element.required)
            .map(|element| element.name)
    }
}

/// `_birthDate` holds the extensions of `birthDate`.
fn primitive_extension(name: &str, kind: &str, order: u16) -> Option<Found> {
    (name.starts_with('_') && is_primitive(kind)).then_some(Found {
        order: order * 4 + 1,
        required: false,
        many: false,
        kind: "Element",
        is_choice: false,
    })
}

fn capital(kind: &str) -> String {
    let mut letters = kind.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn same_type(kind: &str, suffix: &str) -> bool {
    kind.len() == suffix.len()
        && kind
            .chars()
            .zip(suffix.chars())
            .enumerate()
            .all(|(at, (a, b))| {
                if at == 0 {
                    a.to_ascii_uppercase() == b
                } else {
                    a == b
                }
            })
}

/// The kinds of values an element of this simple type takes; `None` for types with elements of their own.
pub(crate) fn accepts(kind: &str) -> Option<Kinds> {
    Some(match kind {
        "boolean" => Kinds::BOOL,
        "decimal" | "integer" | "positiveInt" | "unsignedInt" => Kinds::NUMBER,
        "date" => Kinds::DATE,
        "dateTime" => Kinds::DATE.or(Kinds::DATE_TIME).or(Kinds::INSTANT),
        "instant" => Kinds::INSTANT,
        "time" => Kinds::TIME,
        "string" | "markdown" => Kinds::SCALAR.without(Kinds::BOOL),
        "code" | "id" | "uri" | "url" | "canonical" | "oid" | "uuid" | "base64Binary" => {
            Kinds::TEXT.or(Kinds::NUMBER)
        }
        _ => return None,
    })
}

/// The kinds of values that may stand at an element of this type as one expression.
pub(crate) fn takes(found: &Found) -> Kinds {
    if found.is_choice {
        return Kinds::RESULT;
    }
    match found.kind {
        "Coding" => Kinds::CODING,
        "CodeableConcept" => Kinds::CONCEPT,
        "Quantity" | "Duration" | "Age" | "Distance" | "Count" => Kinds::QUANTITY,
        "Observation.referenceRange" => Kinds::RANGE,
        "Reference" => Kinds::REFERENCE,
        "Identifier" => Kinds::IDENTIFIER,
        "HumanName" => Kinds::NAME,
        "ContactPoint" => Kinds::CONTACT,
        "Address" => Kinds::ADDRESS,
        "Annotation" => Kinds::NOTE,
        "Period" => Kinds::PERIOD,
        kind if found.many => accepts(kind).map_or(Kinds::NONE, |kinds| kinds.or(Kinds::LIST)),
        kind => accepts(kind).unwrap_or(Kinds::NONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_the_names_a_mapping_writes() {
        let observation = shape("Observation").expect("known");
        for (name, kind, many) in [
            ("status", "code", false),
            ("category", "CodeableConcept", true),
            ("valueQuantity", "Quantity", false),
            ("value[x]", "value[x]", false),
            ("referenceRange", "Observation.referenceRange", true),
            ("extension", "Extension", true),
            ("_effectiveDateTime", "Element", false),
            ("contained", "Resource", true),
        ] {
            let found = observation.find(name).expect(name);
            assert_eq!((found.kind, found.many), (kind, many), "{name}");
        }
        for wrong in ["valuequantity", "valueFoo", "statu", "value", "_category"] {
            assert_eq!(observation.find(wrong), None, "{wrong}");
        }
        let component = shape("Observation.component").expect("known");
        assert_eq!(
            component.find("referenceRange").map(|found| found.kind),
            Some("Observation.referenceRange")
        );
        assert!(observation.required().eq(["status", "code"]));
        assert!(is_resource("Patient") && !is_resource("HumanName") && !is_resource("Bed"));
    }

    #[test]
    fn printing_order_is_that_of_the_definition() {
        let observation = shape("Observation").expect("known");
        let order = |name| observation.find(name).expect(name).order;
        let names = [
            "id",
            "meta",
            "contained",
            "extension",
            "modifierExtension",
            "identifier",
            "status",
            "effectiveDateTime",
            "_effectiveDateTime",
            "issued",
            "valueString",
            "component",
        ];
        assert!(names.windows(2).all(|pair| order(pair[0]) < order(pair[1])));
        let name = shape("HumanName").expect("known");
        assert!(
            name.find("extension").expect("there").order < name.find("use").expect("there").order
        );
    }
}
