"""XGBoost: external memory, 20 rounds of histogram trees."""

import glob

import numpy as np
import pyarrow.parquet as pq
import xgboost as xgb

PACKAGES = ("xgboost",)


class Files(xgb.DataIter):
    """The files, one row group after the other; quantised pages are kept on disk."""

    def __init__(self, folder, cache):
        self.groups = [
            (path, at)
            for path in sorted(glob.glob(folder + "/*.parquet"))
            for at in range(pq.ParquetFile(path).num_row_groups)
        ]
        self.at = 0
        super().__init__(cache_prefix=cache)

    def next(self, input_data):
        if self.at == len(self.groups):
            return False
        path, group = self.groups[self.at]
        table = pq.ParquetFile(path, pre_buffer=False).read_row_group(group)
        X = np.column_stack([column.to_numpy() for column in table.columns[:-1]])
        input_data(data=X, label=table.columns[-1].to_numpy())
        self.at += 1
        return True

    def reset(self):
        self.at = 0


def run(job, ready):
    matrix = xgb.ExtMemQuantileDMatrix(Files(job.folder, job.out + "/cache"))
    options = {"tree_method": "hist", "objective": "binary:logistic", "max_depth": 6}
    return xgb.train(options, matrix, num_boost_round=20)


def predict(fitted, table):
    X = np.column_stack([column.to_numpy() for column in table.columns])
    return (fitted.predict(xgb.DMatrix(X)) > 0.5).astype(int)
