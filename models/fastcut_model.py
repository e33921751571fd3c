"""FastCUT: CUT without the identity, at half the cost (Park et al. 2020)."""

import argparse

from models.cut_model import CUTModel


class FastCUTModel(CUTModel):
    """L = GAN(G, D) + 10 * NCE(A, G(A)): a heavier weight in the place of the identity, and inputs
    that are mirrored half of the time (section 4 and appendix)."""

    no_use_for = {"pool_size": "with --model cycle_gan"}

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """CUT's flags, with the settings of its fast variant."""
        CUTModel.modify_commandline_options(parser, is_train)
        if is_train:
            parser.set_defaults(lambda_NCE=10.0, nce_idt=False, flip_equivariance=True)
            parser.set_defaults(n_epochs=150, n_epochs_decay=50)
        return parser
