"""Makes the seeds in corpus/ from the fixtures of the library: python fuzz/seeds.py"""

import zipfile
from pathlib import Path

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "crates/struthio/tests/fixtures"
LARGEST = 4000


def write(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def npy(descr, shape, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def pair(images, labels):
    return b"p" + len(images).to_bytes(2, "big") + images + labels


def files(folder, *suffixes):
    found = sorted(path for path in (FIXTURES / folder).iterdir() if path.suffix in suffixes)
    return [path for path in found if path.stat().st_size <= LARGEST]


for path in files("", ".onnx") + files("inputs", ".onnx"):
    write("onnx", path.stem, path.read_bytes())
# One model of each kind of operator.
with zipfile.ZipFile(FIXTURES / "forms.npz") as forms:
    models = {name.removesuffix(".model.npy").rstrip("0123456789"): name for name in forms.namelist() if ".model" in name}
    for form, name in models.items():
        data = forms.read(name)
        header = 10 + int.from_bytes(data[8:10], "little")
        if len(data) <= 1150:
            write("onnx", "form_" + form.rstrip("_"), data[header:])

pictures = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm")
for path in files("formats", *pictures) + files("images", *pictures):
    write("pictures", path.name, path.read_bytes())

for path in files("arrays", ".npz"):
    write("arrays", path.name, b"z" + path.read_bytes())
for descr, size in ("|u1", 1), ("<f4", 4), (">f8", 8), ("<i8", 8), ("|b1", 1):
    labels = npy("<i8", "(2,)", b"".join(i.to_bytes(8, "little") for i in (0, 1)))
    write("arrays", f"pair{descr[1:]}", pair(npy(descr, "(2, 1, 2)", bytes(4 * size)), labels))
one_hot = npy("|u1", "(2, 3)", bytes([0, 1, 0, 1, 0, 0]))
write("arrays", "pair_one_hot", pair(npy("|u1", "(2, 1, 2)", b"abcd"), one_hot))
idx_images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]) + b"abcd"
write("arrays", "idx", pair(idx_images, bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1])))
write("arrays", "cifar", b"c" + (b"\x01" + bytes(range(256)) * 12) * 2)

write("tables", "labels", 'lfile,label\na.png,0\n"b,""c"".png",1\n')
write("tables", "words", 'lLabel,file\ncat,a.png\n"a ""dog""","b,""c"".png"\n')
write("tables", "classes", "ctench\ngoldfish\n  great white shark\n")
write("tables", "attributes", "aindex,a,size\n0,red,1\n1,blue,1.5\n2,red,1\n")

for path in files("parquet", ".parquet"):
    write("parquet", path.stem, path.read_bytes())

for name, text in {
    "mnist": "mnist",
    "between": "mnist:test[0..1000]",
    "from": "mnist:train[5..]",
    "to": "mnist[ .. 6 ]",
    "one": "mnist[7]",
    "pair": "x.npy,y.npy[1..2]",
    "npz": "data.npz[..4]",
}.items():
    write("spec", name, text)
