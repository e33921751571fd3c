"""What stands above this room, for annotations: util imports neither models, data nor options."""

from typing import Any

BaseModel = Any  # models.base_model.BaseModel
Loader = Any  # data.loader.Loader
TrainOptions = Any  # options.train_options.TrainOptions
