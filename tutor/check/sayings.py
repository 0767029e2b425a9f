"""Sentences on errors that people bring from PyTorch, NumPy and haste, by what MAX says."""

# By a pattern of the message. A sentence may use its groups, and {call}, what the line calls.
SAID = {
    r"unexpected keyword argument '(keepdims?)'": (
        "MAX keeps the axis of a mean or a sum anyway; leave {0} out, and squeeze(axis) takes "
        "the axis away."
    ),
    r"unexpected keyword argument 'dim'": "MAX calls it axis, not dim.",
    r"missing a required argument: 'epsilon'": "MAX calls it epsilon, not eps.",
    r"Unary ops do not support non-max objects": (
        "{call} takes a Tensor; for a plain number use the math module, as math.sqrt."
    ),
    r"reshape\(\) takes 2 positional arguments": "reshape takes one list: x.reshape([a, b, c]).",
    r"permute\(\) takes 2 positional arguments": "permute takes one list: x.permute([0, 2, 1, 3]).",
    r"transpose\(\) (takes 3 positional|missing 1 required)": (
        "transpose swaps two axes, as in x.transpose(1, 2); x.permute([0, 2, 1, 3]) takes a "
        "list of all."
    ),
    r"Embedding\.__init__\(\) takes 2 positional": (
        "The width of an Embedding is given by name: Embedding(vocab_size, dim=…)."
    ),
    r"LayerNorm\.__init__\(\) takes 2 positional": (
        "The epsilon of LayerNorm is given by name: LayerNorm(dim, eps=…)."
    ),
    r"GPT2MLP\.__init__\(\) takes 3 positional": (
        "GPT2MLP takes the inner width, then the config: GPT2MLP(config.n_inner, config)."
    ),
    r"int\(Dim\('(\w+)'\)\): Int conversions only supported for static": (
        "The size {0} is not known yet in a graph, so it cannot be an int; use it as it is, "
        "without int, range or NumPy."
    ),
    r"index into a list or NumPy array|'Dim' object cannot be interpreted as an integer": (
        "A length can be a symbol that only a running graph knows, so Python's range, lists and "
        "NumPy have no use for it; compute with Tensors, as Tensor.arange. Sizes of a head are in "
        "the config."
    ),
    r"'NoneType' object (?:has no attribute|is not|does not)|and 'NoneType'|'NoneType' and": (
        "Something in this line is None, by default or because a function without a return gives "
        "None."
    ),
    r"cannot unpack non-iterable NoneType": (
        "What is unpacked here is None: a function without a return gives None."
    ),
    r"between instances of '(?:tuple' and|\w+' and 'tuple')": (
        "One of the two is a tuple; a comma after a value makes one."
    ),
    r"Expected condition to be a boolean tensor": (
        "F.where takes the condition first, true or false for each place, then the value where it "
        "holds, then the other one."
    ),
    r"Invalid approximation method": (
        'F.gelu knows three words for approximate: "none", "tanh" and "quick".'
    ),
    r"cannot assign to field '(\w+)'": (
        "The dataclass is frozen, so that no field can be set, {0} neither; leave frozen out."
    ),
    r"object\.__init__\(\) takes exactly one argument": (
        "The constructor of Module takes no arguments: super().__init__()."
    ),
    r"Loaded tensor .*dtype=DType\.(\w+)\) not assignable to .*dtype=DType\.(?!\1)(\w+)": (
        "The weights are {0}, and the model has been made in {1}; make it in {0}."
    ),
    r"type object '(\w+)' has no attribute '(\w+)'": (
        "{0} is the class, which has no {1}; an object has it, so call {0}(…) first."
    ),
    r"dictionary changed size during iteration": (
        "A dict cannot grow or shrink while a loop walks through it; put what comes into a new one."
    ),
    r"invalid index to scalar variable": (
        "What is indexed here is a single number: an argmax or a sum without an axis is over "
        "everything."
    ),
    r"'\w+' object has no attribute 'forward'": (
        "A model is called, model(x), and need not have a method forward."
    ),
    r"'\w+' object has no attribute '(eval|train)'": "A Module of MAX has no {0}; leave it out.",
    r"'\w*Path' object has no attribute 'read'": (
        "json.load takes an open file; of a path it is json.loads(path.read_text())."
    ),
    r"No such file or directory: \S+?(config\.json|\.safetensors|\.bin)": (
        'A model folder has config.json and model.safetensors; Path(path) / "…" joins the two.'
    ),
    r"rmo\.slice start index (-?\d+) out of range for dimension size (\d+)": (
        "A slice begins at {0}, on an axis that has {1} places."
    ),
    r"Split sizes must sum to .*axis\]=Dim\((\d+)\) != sum\(sizes=(\[.*?\])": (
        "The pieces {1} do not add up to the size of the axis, which is {0}. F.split works on "
        "axis 0 unless told otherwise."
    ),
    r"chunks=(\d+) must statically divide x\.shape\[axis\]=Dim\((\d+)\)": (
        "An axis of size {1} cannot be cut into {0} equal parts. F.chunk works on axis 0 unless "
        "told otherwise."
    ),
    r"[Pp]robabilities do not sum to 1": (
        "What is given as p has to sum to 1: divide the weights of a row by their sum."
    ),
    r"'Shape' object is not callable": "shape is no function: x.shape, without parentheses.",
    r"Unsupported dimension type (\w*Config)\(": (
        "A size has to be a whole number; here it is a whole {0}."
    ),
    r"Unsupported dimension type .*float": "A size has to be a whole number: divide sizes with //.",
    r"has no attribute '(float(?:16|32|64)?|half|double|long|int|type|astype)'": (
        "MAX calls it cast: x.cast(DType.float32)."
    ),
    r"to\(\) expects Device.* got DType": (
        "to moves a Tensor to a device; x.cast(DType.float32) changes its type."
    ),
    r"DLPack only supports signed": (
        "A size that is read off a shape is no int; take it from the config."
    ),
    r"'(?:Static)?Dim' object is not iterable": (
        "F.split takes a list of sizes; F.chunk(x, 2, axis=-1) cuts an axis into two equal parts."
    ),
    r"Sequential\.forward\(\) takes 2 positional arguments": (
        "A Sequential hands a single value from layer to layer; go through the layers with for."
    ),
    r"has no attribute 'cat'": "MAX calls it F.concat.",
    r"'list' object has no attribute 'ids'": (
        "encode returns the list of ids itself; .ids is from another library's tokenizers."
    ),
    r"'Letters' object is not callable": (
        "A tokenizer isn't a function; call tokenizer.encode(text) to get the ids."
    ),
    r"Letters\.(\w+)\(\) got an unexpected keyword argument '(\w+)'": (
        "{0} of this tokenizer has no argument {1}; it takes a single one."
    ),
    r"'float' object cannot be interpreted as an integer": (
        "Python got a float but needs a whole number; are two arguments swapped?"
    ),
    r"has no attribute 'pow'": "Write x**2.",
    r"has no attribute 'view'": "MAX calls it reshape, and its shape is a list.",
    r"has no attribute 'var'": (
        "There is no var; take the mean of the squared distances from the mean."
    ),
    r"must be a TensorValueLike, not '(list|tuple)'": (
        "A {0} is no Tensor; make it of operations on Tensors, as Tensor.arange."
    ),
    r"gather index (-?\d+) is out of bounds for axis \d+ with size (\d+)": (
        "Number {0} is looked up where there are {1}. The ids of a table number its rows: axis 0."
    ),
    r"indices = TensorValue\(dtype=(float\d+|bfloat16)": (
        "A table is looked up by whole numbers, and {0} are not: have int64 here."
    ),
    r"Slice index value must be a scalar": (
        "A Tensor cannot be indexed by a Tensor; an Embedding, or F.gather, looks rows up."
    ),
    r"Unsafe cast from si(64|32) to f(64|32)": (
        "Whole numbers and float32 do not mix: give an arange a dtype, or cast one of the two."
    ),
    r"unsqueeze axis out of bounds: axis=(-?\d+), rank=(\d+)": (
        "A Tensor of {1} axes has no place {0} for a new one."
    ),
    r"out of range \(expected to be in range of \[.*?, (\d+)\], but got (-?\d+)\)": (
        "There is no axis {1}; the last one is {0}."
    ),
    r"axis=(-?\d+) out of range for input": "The Tensor has no axis {0}.",
    r"rank of the input \((\d+)\) does not match the number of dims used for ordering \((\d+)\)": (
        "permute names every axis once; here there are {0} axes, and {1} are named."
    ),
    r"slice indices length (\d+) to be less than or equal to input rank (\d+)": (
        "{0} places are indexed in a Tensor of {1} axes."
    ),
    r"rmo\.slice stop index (-?\d+) out of range for dimension size (\d+)": (
        "A slice, or a loop over a Tensor, goes to {0} on an axis that has {1} places; MAX "
        "does not cut it short."
    ),
    r"k \((\d+)\) cannot be larger than dimension size along axis (\d+)": (
        "The {0} largest are asked for, of {1} numbers."
    ),
    r"\[broadcast_to\] input dimension at index \d+ \((\w+)\).*output dimension .*\((\w+)\)": (
        "broadcast_to repeats only axes of size 1; here {0} would have to become {1}."
    ),
    r"outer expected 1d": (
        "F.outer takes two vectors; for more axes multiply, as in x.unsqueeze(-1) * y."
    ),
    r"Concat inputs must all have the same rank": (
        "F.concat joins Tensors that have equally many axes."
    ),
    r"elements in repeats must match: shape": "F.tile takes a number for each axis.",
    r"Gamma size (\d+) does not match dimension of reduction (\d+)": (
        "The norm has a weight for {0} numbers, and the last axis of what it gets has {1}."
    ),
    r"must be real number, not Tensor": (
        "The math module takes plain numbers; F has the same for Tensors."
    ),
    r"which has no callable (\w+) method": (
        "NumPy cannot compute {0} of a Tensor; what takes Tensors is in F, as F.exp."
    ),
    r"data type '(\w+)' not understood": (
        "NumPy has no type {0}; its own are float32, float16 and uint16, or <f4, <f2 and <u2."
    ),
    r"^'(tuple|list)' object has no attribute '(\w+)'": (
        "What stands before .{1} is a {0}; take it apart first, as in one, other = …"
    ),
    r"^'(dict|mappingproxy)' object has no attribute '(\w+)'": (
        'A {0} has entries, not attributes; ["{1}"] or .get("{1}") asks for one.'
    ),
    r"'(list|tuple|dict|str|int|float|Tensor)' object is not callable": (
        "A {0} is called here as if it were a function; * multiplies, and square brackets take an "
        "entry."
    ),
    r"'\w*(?:method|function)\w*' object is not subscriptable": (
        "A function is called with parentheses, not with square brackets."
    ),
    r"too many values to unpack \(expected (\d+)": (
        "On the left of the = there are {0} names, and on the right there is more."
    ),
    r"not enough values to unpack \(expected (\d+), got (\d+)": (
        "On the left of the = there are {0} names, and on the right there is only {1}."
    ),
}
