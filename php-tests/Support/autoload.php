<?php

declare(strict_types=1);

// The helpers need no extension: the demo and child processes load them, too.
spl_autoload_register(static function (string $class): void {
    $prefix = 'Tests\\Support\\';
    if (str_starts_with($class, $prefix)) {
        $file = __DIR__ . '/' . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
