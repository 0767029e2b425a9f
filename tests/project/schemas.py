"""The documented forms of what services read, as JSON Schemas of our own."""

from typing import Any


def closed(**properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def fields(*needed: str, **known: Any) -> dict[str, Any]:
    """An object with no other properties than these, of which some are needed."""
    return closed(**known) | {"required": list(needed)}


TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
SEEN = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
RENDERED = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
STATUS = {"enum": ["pass", "fail", "error"]}
SHORT = {"type": "string", "maxLength": 65_535}
GRADESCOPE = closed(
    score=COUNT,
    execution_time=COUNT,
    output=TEXT,
    output_format=RENDERED,
    visibility=SEEN,
    stdout_visibility=SEEN,
    extra_data={"type": "object"},
    tests={
        "type": "array",
        "items": closed(
            name=TEXT,
            number={"type": "string", "pattern": r"^[a-z]?\d+\.\d+$"},
            score=COUNT,
            max_score=COUNT,
            status={"enum": ["passed", "failed"]},
            output=TEXT,
            output_format=RENDERED,
            visibility=SEEN,
            tags={"type": "array", "items": TEXT},
            extra_data={"type": "object"},
        ),
    },
)
CLASSROOM = closed(
    version={"const": 1},
    status=STATUS,
    max_score=COUNT,
    tests={
        "type": "array",
        "minItems": 1,
        "items": closed(
            name=TEXT,
            status=STATUS,
            score=COUNT,
            message=TEXT,
            test_code=TEXT,
            filename=TEXT,
            line_no=COUNT,
            duration=COUNT,
        ),
    },
)
EXERCISM_TEST = closed(
    name=TEXT,
    status=STATUS,
    message={"anyOf": [{"type": "null"}, SHORT]},
    output={"type": "string", "maxLength": 500},
    test_code=TEXT,
    task_id=COUNT,
)
EXERCISM_TESTS = {"type": "array", "items": EXERCISM_TEST}
EXERCISM = {
    "oneOf": [
        closed(
            version={"const": 3}, status={"const": "error"}, message=SHORT, tests=EXERCISM_TESTS
        ),
        closed(version={"const": 3}, status={"enum": ["pass", "fail"]}, tests=EXERCISM_TESTS),
    ]
}
SCHEMAS = {"gradescope": GRADESCOPE, "classroom": CLASSROOM, "exercism": EXERCISM}

# The part of Kubernetes 1.33 that the example uses.
FLAG = {"type": "boolean"}
LABELS = {"type": "object", "additionalProperties": TEXT, "minProperties": 1}
NAMED = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
PORT = {"type": "integer", "minimum": 1, "maximum": 65_535}
AMOUNTS = fields(
    cpu={"type": "string", "pattern": r"^\d+m?$"},
    memory={"type": "string", "pattern": r"^\d+(Mi|Gi)$"},
)


def many(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


PROFILE = closed(type={"enum": ["Unconfined", "RuntimeDefault", "Localhost"]})
CONTAINER = fields(
    *("name", "image", "command", "resources"),
    name=NAMED,
    image=TEXT,
    command=many(TEXT),
    ports=many(closed(name={**NAMED, "maxLength": 15}, containerPort=PORT)),
    readinessProbe=closed(tcpSocket=closed(port=NAMED)),
    resources=closed(requests=AMOUNTS, limits=AMOUNTS),
    securityContext=fields(
        allowPrivilegeEscalation=FLAG,
        capabilities=closed(drop=many(TEXT)),
        procMount={"enum": ["Default", "Unmasked"]},
        seccompProfile=PROFILE,
        appArmorProfile=PROFILE,
    ),
    volumeMounts=many(closed(name=NAMED, mountPath={"type": "string", "pattern": "^/"})),
)
VOLUME = fields(
    "name",
    name=NAMED,
    emptyDir=closed(sizeLimit={"type": "string", "pattern": r"^\d+Gi$"}),
    persistentVolumeClaim=closed(claimName=NAMED),
)
TEMPLATE = closed(
    metadata=closed(labels=LABELS),
    spec=fields(
        "containers",
        automountServiceAccountToken=FLAG,
        hostUsers=FLAG,
        restartPolicy={"enum": ["Always", "OnFailure", "Never"]},
        containers=many(CONTAINER),
        volumes=many(VOLUME),
    ),
)
SELECTED = closed(matchLabels=LABELS)
PEERS = many(closed(podSelector=SELECTED))
SPECS = {
    ("v1", "Service"): closed(
        selector=LABELS, ports=many(closed(name=NAMED, port=PORT, targetPort=NAMED))
    ),
    ("apps/v1", "Deployment"): closed(replicas=COUNT, selector=SELECTED, template=TEMPLATE),
    ("batch/v1", "Job"): closed(backoffLimit=COUNT, template=TEMPLATE),
    ("networking.k8s.io/v1", "NetworkPolicy"): closed(
        podSelector=SELECTED,
        policyTypes=many({"enum": ["Ingress", "Egress"]}),
        ingress=many({"type": "object", "properties": {"from": PEERS}, "required": ["from"]}),
        egress=many(
            fields(to=PEERS, ports=many(closed(protocol={"enum": ["TCP", "UDP"]}, port=PORT)))
        ),
    ),
}
KUBERNETES = {
    "oneOf": [
        closed(
            apiVersion={"const": version},
            kind={"const": kind},
            metadata=closed(name=NAMED, labels=LABELS),
            spec=spec,
        )
        for (version, kind), spec in SPECS.items()
    ]
}
