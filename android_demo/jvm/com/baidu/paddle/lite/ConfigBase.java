package com.baidu.paddle.lite;

/** Stands in for Paddle-Lite's class of this name; see PaddlePredictor. */
public class ConfigBase {}
