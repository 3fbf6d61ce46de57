//! Writing networks as ONNX.

use prost::Message;

use super::proto::{
    ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS, ATTRIBUTE_STRING, AttributeProto, DimensionProto,
    DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto, data_type,
};
use crate::network::graph::{Graph, ValueId};
use crate::network::model::Network;
use crate::network::ops::{Attribute, Constant, Tensor};

const IR_VERSION: i64 = 8;
/// The version that is written unless an operator came later.
const OPSET: i64 = 17;
/// The version from which reductions read their axes.
const AXES_ARE_READ: i64 = 18;

/// The network as the bytes of an ONNX model with a free batch size: input `image`, output `logits`.
#[must_use]
pub fn write(network: &Network) -> Vec<u8> {
    let graph = network.graph();
    let mut proto = GraphProto {
        name: "network".into(),
        input: vec![value_info("image", graph.shape(ValueId::INPUT))],
        output: vec![value_info("logits", graph.shape(graph.output()))],
        ..GraphProto::default()
    };
    let opset = graph.nodes().iter().flat_map(|node| node.op.to_onnx()).map(|part| since(part.op_type)).max();
    let opset = opset.unwrap_or(OPSET);
    write_nodes(graph, opset, &mut proto);
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "struthio".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(proto),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
    }
    .encode_to_vec()
}

/// The first version that has the operator, from [`OPSET`] on.
fn since(operator: &str) -> i64 {
    match operator {
        "Mish" => 18,
        "Gelu" => 20,
        _ => OPSET,
    }
}

fn write_nodes(graph: &Graph, opset: i64, proto: &mut GraphProto) {
    let name_of = |value: ValueId| match value {
        ValueId::INPUT => "image".to_owned(),
        value if value == graph.output() => "logits".to_owned(),
        ValueId(id) => format!("{}_{id}", graph.nodes()[id - 1].name),
    };
    for (index, node) in graph.nodes().iter().enumerate() {
        let parts = node.op.to_onnx();
        let mut inputs: Vec<String> = node.inputs.iter().map(|&value| name_of(value)).collect();
        let last = parts.len().saturating_sub(1);
        for (position, mut part) in parts.into_iter().enumerate() {
            if opset >= AXES_ARE_READ && part.op_type.starts_with("Reduce") {
                let axes = part.attributes.iter().position(|(name, _)| *name == "axes");
                if let Some((name, Attribute::Integers(axes))) = axes.map(|at| part.attributes.remove(at)) {
                    part.constants.push((name, Constant::Integers(axes)));
                }
            }
            let output = name_of(ValueId(index + 1));
            let output = if position == last { output } else { format!("{output}_{position}") };
            for (suffix, constant) in part.constants {
                let name = match position {
                    0 => format!("{}.{suffix}", node.name),
                    _ => format!("{}_{position}.{suffix}", node.name),
                };
                proto.initializer.push(initializer(&name, constant));
                inputs.push(name);
            }
            proto.node.push(NodeProto {
                input: inputs,
                output: vec![output.clone()],
                name: if last == 0 { node.name.clone() } else { format!("{}_{position}", node.name) },
                op_type: part.op_type.into(),
                attribute: part.attributes.into_iter().map(attribute).collect(),
                domain: String::new(),
            });
            inputs = vec![output];
        }
    }
}

fn attribute((name, value): (&'static str, Attribute)) -> AttributeProto {
    let empty = AttributeProto { name: name.into(), ..AttributeProto::default() };
    match value {
        Attribute::Integer(i) => AttributeProto { i, r#type: ATTRIBUTE_INT, ..empty },
        Attribute::Integers(ints) => AttributeProto { ints, r#type: ATTRIBUTE_INTS, ..empty },
        Attribute::Float(f) => AttributeProto { f, r#type: ATTRIBUTE_FLOAT, ..empty },
        Attribute::Text(text) => AttributeProto { s: text.into(), r#type: ATTRIBUTE_STRING, ..empty },
    }
}

fn initializer(name: &str, constant: Constant) -> TensorProto {
    let (dims, data_type, raw_data) = match constant {
        Constant::Floats(Tensor { shape, values }) => (
            shape.iter().map(|&d| d as i64).collect(),
            data_type::FLOAT,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
        Constant::Indices { shape, values } => (
            shape.iter().map(|&d| d as i64).collect(),
            data_type::INT64,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
        Constant::Integers(values) => (
            vec![values.len() as i64],
            data_type::INT64,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
    };
    TensorProto { dims, data_type, name: name.into(), raw_data, ..TensorProto::default() }
}

fn value_info(name: &str, shape: &[usize]) -> ValueInfoProto {
    let batch = DimensionValue::Parameter("batch".into());
    let fixed = shape.iter().map(|&d| DimensionValue::Value(d as i64));
    let dim =
        std::iter::once(batch).chain(fixed).map(|value| DimensionProto { value: Some(value) }).collect();
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: data_type::FLOAT,
                shape: Some(TensorShapeProto { dim }),
            }),
        }),
    }
}
