//! What can be typed. Types only: what it means is decided in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Finds the blind spots of neural networks: the smallest change of an image that makes a
/// classifier err, and everything the paper "Intriguing properties of neural networks"
/// (Szegedy et al. 2013) measured with it.
#[derive(Debug, Parser)]
#[command(name = "struthio", version, arg_required_else_help = true, propagate_version = true)]
#[command(after_help = "Exit codes: 0 done, 1 a check that was asked for failed, 2 error, 130 interrupted.")]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

#[derive(Debug, Args)]
pub struct Global {
    /// Seed of every random decision.
    #[arg(long, global = true, default_value_t = 0, value_name = "N", help_heading = "Global options")]
    pub seed: u64,
    /// Worker threads; results do not depend on them [default: all processors].
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Global options")]
    pub threads: Option<u16>,
    /// Form of what is printed on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORM", help_heading = "Global options")]
    pub format: Format,
    /// No progress and no remarks on standard error.
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Reproduce(Reproduce),
    Train(Train),
    Attack(Attack),
    Transfer(Transfer),
    Gradient(Gradient),
    Units(Units),
    Inspect(Inspect),
    Spectrum(Spectrum),
    Bench(Bench),
}

/// Train the paper's networks on MNIST, judge their units, find their smallest adversarial perturbations, show
/// them to each other, and print Tables 1 to 4 beside the paper's.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  struthio reproduce --quick            a look in a few minutes
  struthio reproduce --out runs/paper   1,000 images and three training seeds per network
  struthio reproduce --out runs/paper --resume   the same, where it was stopped
  struthio reproduce --alexnet alexnet.onnx --photos validation/ --normalize imagenet   Figures 3 and 4, too

The report is DIR/report.html, one file that any browser opens.")]
pub struct Reproduce {
    /// 200 images per network instead of 1,000, one training seed instead of three, one epoch of training
    /// for the convolutional network instead of four, and no verdict on units.
    #[arg(long)]
    pub quick: bool,
    /// Correctly classified training images to attack per network [default: 1000, 200 with --quick].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub samples: Option<u32>,
    /// How the training images are divided in two for Tables 3 and 4: the first and the last half, as in
    /// the paper, or at random from the seed.
    #[arg(long, value_enum, default_value_t = Split::Halves)]
    pub split: Split,
    /// Folder for the results; must be empty or new, unless with --resume [default: runs/reproduce-N].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub cache: Cache,
    #[command(flatten)]
    pub lanes: Lanes,
    #[command(flatten)]
    pub resume: Resume,
    #[command(flatten)]
    pub alexnet: AlexNet,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Figures 3 and 4")]
pub struct AlexNet {
    /// ONNX file of AlexNet, or of another classifier of photographs, whose units are to be judged.
    #[arg(long = "alexnet", value_name = "MODEL", requires = "photos")]
    pub path: Option<PathBuf>,
    /// Photographs to judge them by, in the forms that units takes.
    #[arg(long, value_name = "SPEC", requires = "path")]
    pub photos: Option<String>,
    /// File with the name of a class of the photographs in each line, as with units.
    #[arg(long, value_name = "FILE", requires = "path")]
    pub classes: Option<PathBuf>,
    #[command(flatten)]
    pub pixels: Pixels,
}

/// Train a network and save it as ONNX.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  struthio train fc100-100-10 -o fc100.onnx
  struthio train fc10 --weight-decay 0.01 -o softmax.onnx
  struthio train fc100-100-10 --spectral-penalty 0.001 -o steady.onnx
  struthio train ae400-10 -o ae400.onnx
  struthio train mnist-cnn -o cnn.onnx               three minutes, 0.8 % test error
  struthio train alexnet-20 --data photos/ --epochs 10 -o alexnet.onnx
  struthio train fc64-10 --data 'mnist:train[0..30000]' --epochs 5 -o small.onnx

The loss is the mean cross-entropy plus λ·Σw²/k for every layer, k being its units.
Networks without hidden layers are trained by full-batch L-BFGS to the optimum. The hidden layer of
ae400-10 is trained without labels, as the encoder of a sparse autoencoder, and the last layer on its code.")]
pub struct Train {
    /// fc10, fc100-100-10 or any fcA-B-..-10: units per layer, sigmoid between layers; ae400-10 or any aeA-10;
    /// mnist-cnn, lenet, resnet-small, alexnet or alexnet-one-tower, with another number of classes as in alexnet-20.
    #[arg(value_name = "ARCH")]
    pub architecture: String,
    /// Training data: mnist, mnist:train[0..30000], or files and folders as with attack.
    #[arg(long, value_name = "SPEC", default_value = "mnist:train")]
    pub data: String,
    #[command(flatten)]
    pub files: Files,
    /// λ for each layer trained with labels, or one for all [default: 1e-4 without hidden layers, else 1e-5 and 1e-6 for the last].
    #[arg(long, value_name = "L,L,..", value_delimiter = ',')]
    pub weight_decay: Vec<f64>,
    /// Keep the gains of the layers small: adds BETA times the sum of the squares of their largest
    /// singular values to the loss [default: 0].
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    pub spectral_penalty: Option<f64>,
    /// Passes over the data, for an autoencoder those of the encoder (for networks without hidden layers: most evaluations of the loss).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub epochs: Option<u32>,
    /// File to write.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Accepted so that commands are continued alike: a training that was stopped always continues
    /// from its last checkpoint, which is in the cache.
    #[arg(long)]
    pub resume: bool,
    #[command(flatten)]
    pub cache: Cache,
}

/// Find the closest adversarial image of every correctly classified image.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  struthio attack model.onnx --data 'mnist:test[0..1000]'
  struthio attack model.onnx --data 'mnist:test[0..100]' --target 3
  struthio attack model.onnx --data 'mnist:test[0..20]' --search bisection --loss margin
  struthio attack model.onnx --data mnist:test --out runs/all --resume    where it was stopped
  struthio attack model.onnx --data 'validation/[0..100]' --normalize imagenet --classes names.txt
  struthio attack model.onnx --data photos.npz --output logits    of several outputs the one of this name
  struthio attack model.onnx --data holiday/ --normalize imagenet    pictures without labels
  struthio attack model.onnx --data ostrich.jpg --normalize imagenet
  struthio attack model.onnx --data 'mnist:test[0..30]' --png pictures    adversarial images as PNG files
  struthio attack open.onnx --input-shape 3,224,224 --data validation/ --normalize imagenet

A model that ends in a softmax, in sigmoids, or in an average of such is attacked at its logits or at the
logarithm of its probabilities; one output per image is that of class 1 against class 0. Of several outputs
the one that looks like class scores is taken, or --output NAME. Distances are in pixels of [0, 1]; for a
model that wants normalised pixels give --normalize, or --mean and --std.

Images of a folder are scaled so that they just cover the model's input (bilinear, antialiased, as
Pillow does) and cut to the middle; grey becomes three equal channels, colour becomes grey as in
ITU-R 601. They are turned as their EXIF data say; transparency is dropped. Files count as pictures by
their contents; what cannot be read is named and left out, and the others keep their numbers. Without
labels, an image has the class that the model gives it, and nothing is wrong before the attack. A model
with 1000 classes gets the names of ImageNet's, unless --classes or the data give others.")]
pub struct Attack {
    #[command(flatten)]
    pub model: Model,
    #[command(flatten)]
    pub data: Data,
    /// The attack: lbfgs, the paper's.
    #[arg(long = "attack", value_name = "NAME", default_value = "lbfgs")]
    pub method: String,
    /// Norm of the perturbation that is made small.
    #[arg(long, value_enum, default_value_t = Norm::L2)]
    pub norm: Norm,
    /// Class to aim for: closest (any wrong one), random (one per image), all (each in turn), a number, or
    /// with --classes a name.
    #[arg(long, value_name = "TARGET", default_value = "closest")]
    pub target: String,
    /// Loss beside the penalty c·‖r‖². With --search bisection it is what the search over c minimises,
    /// with --search fast it serves where the walks find nothing.
    #[arg(long, value_enum, default_value_t = Loss::Ce)]
    pub loss: Loss,
    /// fast: along the decision boundary; bisection: the paper's search over c, for ten times as many gradients on
    /// the paper's networks. Where units saturate, fast takes some thousand, and bisection is part of it.
    #[arg(long, value_enum, default_value_t = Search::Fast)]
    pub search: Search,
    /// Gradients to spend per image and target, the one that measures the result not counted: the fast
    /// search spends them all, on one start after another. More gradients find shorter perturbations on average;
    /// below 40 they make those of a few images in a hundred longer, single ones by up to a third, and of more where
    /// units saturate [default: as many as an image seems to need, 20 to 300 on most networks].
    #[arg(long, value_name = "GRADIENTS", value_parser = gradients, allow_negative_numbers = true)]
    pub budget: Option<u64>,
    /// Write a picture of 8 bits for every adversarial image, INDEX-LABEL-to-CLASS.png, to DIR, or to the folder png of
    /// the results. Rounding to 256 levels undoes many perturbations, so a second search, of some ten gradients,
    /// looks for the closest adversarial image among those that a picture can hold; each is read back and asked about again.
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "clap's form of an option whose value may be left out")]
    pub png: Option<Option<PathBuf>>,
    /// Folder for the results; must be empty or new, unless with --resume [default: runs/attack-MODEL-N].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub lanes: Lanes,
    #[command(flatten)]
    pub resume: Resume,
}

/// Show what was made to fool one model to the others: a matrix of errors.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  struthio transfer a.onnx b.onnx --data 'mnist:test[0..1000]'
  struthio transfer old.onnx new.onnx --data photos/ --normalize imagenet --rms 0.001,0.002
  struthio transfer inside.onnx outside.onnx --data mnist:test --normalize none --normalize mnist
  struthio transfer resnet.onnx inception.onnx --data photos/ --size 256 --mean 0.5 --std 0.25
  struthio transfer a.onnx b.onnx --data photos/ --classes a.txt --classes b.txt

The closest adversarial image of every image is looked for as by attack, for each model, and
shown to all of them: as it is, and with its perturbation rescaled to every --rms, which follow the
distances that were found unless they are given. Rescaling stays
inside the box of allowed pixels, [0, 1]: pixels that come to its end stay there, and the others make
up for it; where all have come to their end, the size is as large as it can be, and such images are
counted. A cell is the share of the images with a perturbation that the model of the column then gets
wrong; the report also has the share among those that it had right before, and what Gaussian noise of
the same size on the same images does. Models with the same classes in different orders are compared
by the names of --classes, one file for each.

Models may want pixels normalised in different ways: --normalize, or --mean and --std, are given once
for all models or once for each, in their order. They may want images of different sizes: images have
the size of the first model's, or of --size, and every other model scales them with its first operation,
so that a perturbation is the same for all. All must take grey images or all colour images, and have as
many classes. In DIR, summary.json has the matrices (rows: the model that the images were made for,
columns: the model that is asked), report.html draws them, and models/1-NAME and so on have for each
model what attack writes.")]
pub struct Transfer {
    /// ONNX files of two or more classifiers.
    #[arg(value_name = "MODEL", required = true, num_args = 2..)]
    pub models: Vec<PathBuf>,
    /// The output that holds class scores, as with attack: once for all models, or once for each in their order.
    #[arg(long, value_name = "NAME")]
    pub output: Vec<String>,
    #[command(flatten)]
    pub pixels: PixelsOfModels,
    /// Height and width of the images that perturbations are looked for in, one number or two as in 240x320; models
    /// that want others scale them [default: those of the first model].
    #[arg(long, value_name = "N", value_parser = size)]
    pub size: Option<Size>,
    /// Images, as with attack; those without labels get the predictions of the first model.
    #[arg(long, value_name = "SPEC")]
    pub data: String,
    #[command(flatten)]
    pub files: Files,
    /// File with the name of a class in each line, the first being class 0. Given once for each model, in
    /// their order: the order in which that model has the same classes; the first one's order is that of
    /// the data and of the results.
    #[arg(long, value_name = "FILE")]
    pub classes: Vec<PathBuf>,
    /// Sizes to which perturbations are rescaled: root mean square over the pixels of [0, 1], at most 1
    /// [default: once, twice and four times the median of the shortest of all models].
    #[arg(long, value_name = "R,R,..", value_delimiter = ',')]
    pub rms: Vec<f64>,
    /// Standard deviations, in the same unit, of rows of Gaussian noise, which is clipped to the box; at most 10.
    #[arg(long, value_name = "S,S,..", value_delimiter = ',', default_values_t = [0.1, 0.3])]
    pub noise: Vec<f64>,
    /// Times that noise is drawn for each image.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub draws: u8,
    /// Most gradients to spend per image and model; below 40 some perturbations get longer [default: until
    /// the search ends, about 100].
    #[arg(long, value_name = "GRADIENTS", value_parser = gradients, allow_negative_numbers = true)]
    pub budget: Option<u64>,
    /// Folder for the results; must be empty or new, unless with --resume [default: runs/transfer-MODEL-N,
    /// MODEL being the first one, N the next free number].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub lanes: Lanes,
    #[command(flatten)]
    pub resume: Resume,
}

/// Write logits and input gradients of the cross-entropy as `NumPy` arrays.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  struthio gradient model.onnx --data 'mnist:test[0..100]' --out saliency

DIR/logits.npy has shape N × classes, DIR/gradient.npy N × the shape of an image.")]
pub struct Gradient {
    #[command(flatten)]
    pub model: Model,
    #[command(flatten)]
    pub data: Data,
    /// Class of the cross-entropy: a number, with --classes a name [default: each image's own].
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Folder for the results; must be empty or new [default: runs/gradient-MODEL-N].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Ask of a layer whether its units are more meaningful than random directions of the same space.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  struthio units model.onnx --layer relu4 --data mnist:test --maximise
  struthio units model.onnx --layer relu3 --layer relu4 --data mnist:test
  struthio units model.onnx --layer all --data mnist:test --out runs/units
  struthio units model.onnx --layer all --data 'validation/[0..2000]' --normalize imagenet --pool mean

A direction is judged by the images that maximise it: the less entropy their labels have, the more coherent it
is (if all images have one label, the smaller the distance of their pixels). The units are ranked among many sets
of random directions. all stands for what every nonlinearity gives, and the logits.

The images of a unit are ranked by what comes before a sigmoid, tanh or another increasing function: the same
order, but saturated values tie. Where ties still decide, as for units that are hardly ever active, the verdict is
inconclusive, and says for how many images.

DIR/report.html shows the images, DIR/directions.csv has every direction, DIR/summary.json every figure.")]
pub struct Units {
    #[command(flatten)]
    pub model: Model,
    /// Layer by the name that inspect lists, or all; again for each further layer.
    #[arg(long = "layer", value_name = "NAME", required = true)]
    pub layers: Vec<String>,
    #[command(flatten)]
    pub data: Data,
    /// Table of what images are besides their class, whose entropy is looked at instead: a CSV file with the
    /// column index, the number of an image as in results, and a column for each attribute.
    #[arg(long, value_name = "FILE")]
    pub attributes: Option<PathBuf>,
    /// Which column of that table, if it has several.
    #[arg(long, value_name = "COLUMN", requires = "attributes")]
    pub attribute: Option<String>,
    /// Images that stand for a direction, 2 to 100; at most half of all images.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=100))]
    pub top: u16,
    /// How the positions of a channel become one number. The mean treats units like other directions; the
    /// largest value does not.
    #[arg(long, value_enum, default_value_t = Pool::Mean)]
    pub pool: Pool,
    /// Most units of a layer to look at, 3 to 512; of more that vary, so many are drawn at random.
    #[arg(long = "units", value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(3..=512))]
    pub most: u16,
    /// Make images that maximise the directions that the report shows, by gradient ascent: seconds for each
    /// layer with small images, minutes with large ones.
    #[arg(long)]
    pub maximise: bool,
    /// Folder for the results; must be empty or new, unless with --resume [default: runs/units-MODEL-N].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub resume: Resume,
}

/// List the layers of a model as they are executed, with shapes, parameters and operations.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  struthio inspect model.onnx
  struthio inspect open.onnx --input-shape 3,224,224

All outputs of the file are listed, with the one that is taken for class scores and why; --output NAME takes
another. What only served to make shapes is folded, and what only moves values is one layer. Batch normalisation
is part of the convolution before it, or else an Affine layer of constants, which are no parameters.
Shapes are those of one image. Operations are those of its matrix products and convolutions: one for each
multiplication, one for each addition.")]
pub struct Inspect {
    #[command(flatten)]
    pub model: Model,
}

/// How far each layer can amplify a disturbance, and what that certifies.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  struthio spectrum model.onnx
  struthio spectrum model.onnx --full --out runs/spectrum
  struthio spectrum model.onnx --data 'mnist:test[0..20]'
  struthio spectrum model.onnx --data mnist:test --out runs/all --resume    where it was stopped

circular: on images that wrap around, to 7 digits. zero-padded: as executed, by iteration, never above the truth
but for rounding. upper: proven for images of any size; the product over the layers bounds the network, and
matrices in series with ReLU, sigmoid or tanh between them are bounded together, more tightly.

With --data, no image within certified L2 has another class, and the attack found one at attacked L2: the
closest is between them. local gain: how far the network amplifies a very small change of that image, the
largest singular value of its Jacobian there; where it has a derivative, the network's Lipschitz constant is between the largest local
gain and the bound. All of it is in DIR/results.parquet, DIR/report.html has the figures.")]
pub struct Spectrum {
    #[command(flatten)]
    pub model: Model,
    /// Images to certify and to attack, as with attack.
    #[arg(long, value_name = "SPEC")]
    pub data: Option<String>,
    /// All singular values of each layer: their histogram, condition and effective rank.
    #[arg(long)]
    pub full: bool,
    /// Circular gains only, which take least: no bounds, and so no certificates.
    #[arg(long, conflicts_with = "data")]
    pub circular: bool,
    /// File with the name of a class in each line, as with attack.
    #[arg(long, value_name = "FILE", requires = "data")]
    pub classes: Option<PathBuf>,
    #[command(flatten)]
    pub files: Files,
    /// Most gradients to spend per image, as with attack.
    #[arg(long, value_name = "GRADIENTS", value_parser = gradients, allow_negative_numbers = true, requires = "data")]
    pub budget: Option<u64>,
    /// Folder for the results; must be empty or new, unless with --resume [default: runs/spectrum-MODEL-N].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub resume: Resume,
}

/// Time forward passes and input gradients of one batch.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  struthio bench model.onnx --batch 1000 --format json

gradient_ms is one forward pass plus the gradient of the cross-entropy with respect to the input, for the
whole batch, the median of several. gemm_share is the part of gemm_gflops, which matrix products
of 1024 × 1024 reach here, that the network reaches; checksum is the sum of the gradients' absolute values.")]
pub struct Bench {
    #[command(flatten)]
    pub model: Model,
    /// Images in the batch, spread over the threads.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch: u32,
}

#[derive(Debug, Args)]
pub struct Model {
    /// ONNX file of a classifier.
    #[arg(value_name = "MODEL")]
    pub path: PathBuf,
    /// The output that holds class scores, by its name in the file; inspect lists them [default: the one that
    /// looks like class scores].
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    #[command(flatten)]
    pub pixels: Pixels,
}

#[derive(Debug, Args)]
pub struct Pixels {
    /// Shape of one image, without the batch, for a model that leaves sizes open or has no batch axis: 3,224,224,
    /// or 224,224,3 with channels last [default: what the model says, open sizes being those of the data].
    #[arg(long, value_name = "C,H,W", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=0xFF_FFFF))]
    pub input_shape: Vec<u32>,
    /// Mean that the model wants subtracted from pixels of [0, 1], one or one per channel; needs --std.
    #[arg(long, value_name = "M,M,..", value_delimiter = ',', requires = "std")]
    pub mean: Vec<f32>,
    /// Mean and standard deviation by name.
    #[arg(long, value_enum, value_name = "NAME", conflicts_with_all = ["mean", "std"])]
    pub normalize: Option<Normalization>,
    /// Standard deviation that the model wants pixels divided by, one or one per channel; needs --mean.
    #[arg(long, value_name = "S,S,..", value_delimiter = ',', requires = "mean")]
    pub std: Vec<f32>,
}

/// [`Pixels`] of several models.
#[derive(Debug, Args)]
pub struct PixelsOfModels {
    /// Shape of one image, without the batch, for models that leave sizes open: 3,224,224 [default: what the model says,
    /// open sizes being those of the data].
    #[arg(long, value_name = "C,H,W", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=0xFF_FFFF))]
    pub input_shape: Vec<u32>,
    /// Mean that the models want subtracted from pixels of [0, 1], one or one per channel; needs --std. Given once for
    /// all, or once for each model, in their order.
    #[arg(long, value_name = "M,M,..", value_parser = numbers, requires = "std")]
    pub mean: Vec<Numbers>,
    /// Mean and standard deviation by name. Given once for all, or once for each model, in their order.
    #[arg(long, value_enum, value_name = "NAME", conflicts_with_all = ["mean", "std"])]
    pub normalize: Vec<Normalization>,
    /// Standard deviation that the models want pixels divided by, one or one per channel; needs --mean; given
    /// as often.
    #[arg(long, value_name = "S,S,..", value_parser = numbers, requires = "mean")]
    pub std: Vec<Numbers>,
}

/// Numbers with commas between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers(pub Vec<f32>);

fn numbers(text: &str) -> Result<Numbers, String> {
    let number = |part: &str| part.trim().parse().map_err(|_| format!("'{part}' is not a number"));
    text.split(',').map(number).collect::<Result<_, _>>().map(Numbers)
}

/// Height and width of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub height: usize,
    pub width: usize,
}

fn size(text: &str) -> Result<Size, String> {
    let side = |part: &str| part.parse::<u16>().ok().filter(|&side| side > 0).map(usize::from);
    let (height, width) = text.split_once(['x', '×']).unwrap_or((text, text));
    let sides = side(height).zip(side(width));
    sides.map(|(height, width)| Size { height, width }).ok_or_else(|| {
        "expected a number of pixels from 1 to 65535, or two with an x between them as in 240x320".into()
    })
}

#[expect(clippy::struct_field_names, reason = "the option is called --data")]
#[derive(Debug, Args)]
pub struct Data {
    /// Images with labels: mnist:test (or just mnist), mnist:train; file.npz with arrays x and y or other usual names;
    /// images.npy,labels.npy; a pair of IDX files; CIFAR's binary files; Parquet with the bytes of images; or a folder
    /// of pictures (PNG, JPEG, WebP, TIFF, BMP, GIF, PPM), one sub-folder per class or with a labels.csv (file,label).
    /// Each possibly with a range: mnist:test[0..1000], [5000..], [..100], or [7] for one image. Pictures beside each
    /// other, or a single one, get the model's own predictions as labels.
    #[arg(long, value_name = "SPEC")]
    pub data: String,
    #[command(flatten)]
    pub files: Files,
    /// File with the name of a class in each line, the first being class 0: numbers sub-folders and labels
    /// in words, which are in sorted order otherwise, and names classes in the report.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
}

/// How data are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Files {
    /// Refuse pictures that are damaged instead of naming them and leaving them out.
    #[arg(long)]
    pub strict: bool,
    /// Array of an .npz file, or column of Parquet files, that has the images, where they are not called as usual:
    /// --x digits --y classes.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub x: Option<String>,
    /// Array or column that has the labels.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub y: Option<String>,
    /// Take every pixel x as 1 − x, as for dark ink on white where the network wants light ink on black.
    #[arg(long, hide_short_help = true)]
    pub invert: bool,
}

#[derive(Debug, Args)]
pub struct Cache {
    /// Folder where trained networks are kept [default: struthio in the user's cache folder].
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Lanes {
    /// Searches in progress per thread; results do not depend on it [default: 64, fewer for large networks].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096), hide_short_help = true)]
    pub lanes: Option<u16>,
}

#[derive(Debug, Args)]
pub struct Resume {
    /// Continue this very command where it was stopped; begin where there is nothing to continue.
    #[arg(long)]
    pub resume: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// The first half and the last.
    Halves,
    /// At random, from the seed.
    Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Normalization {
    /// Pixels of [0, 1] as they are.
    None,
    /// Mean 0.485, 0.456, 0.406 and standard deviation 0.229, 0.224, 0.225.
    Imagenet,
    /// Mean 0.1307 and standard deviation 0.3081.
    Mnist,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pool {
    /// Their largest value.
    Max,
    /// Their mean.
    Mean,
    /// Every position of every channel is a unit of its own.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Norm {
    L2,
    #[value(hide = true)]
    Linf,
    #[value(hide = true)]
    L1,
    #[value(hide = true)]
    L0,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Loss {
    /// Cross-entropy, the paper's.
    Ce,
    /// Smooth margin.
    Margin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Search {
    /// A walk along the decision boundary.
    Fast,
    /// The paper's search over c.
    Bisection,
}

/// A number of gradients: one at least.
fn gradients(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "expected a whole number from 1 on".into())
}
