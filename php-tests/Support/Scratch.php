<?php

declare(strict_types=1);

namespace Tests\Support;

/** Folders that live as long as this process, whatever way it ends. */
final class Scratch
{
    /** @var array<string, true> */
    private static array $folders = [];

    private static ?int $owner = null;

    public static function folder(string $name): string
    {
        if (self::$owner === null) {
            self::$owner = getmypid();
            register_shutdown_function(self::removeAll(...));
        }
        $path = sprintf('%s/rr-%s-%d-%s', sys_get_temp_dir(), $name, getmypid(), bin2hex(random_bytes(4)));
        if (!mkdir($path, 0755)) {
            throw new \RuntimeException("cannot make the scratch folder $path");
        }
        self::$folders[$path] = true;

        return $path;
    }

    public static function remove(string $path): void
    {
        if (!isset(self::$folders[$path])) {
            throw new \LogicException("$path is not a scratch folder of this process");
        }
        unset(self::$folders[$path]);
        self::removeTree($path);
    }

    public static function removeAll(): void
    {
        // A forked child inherits the list, but the folders are not its own.
        if (self::$owner !== getmypid()) {
            return;
        }
        Process::stopAll();
        foreach (array_keys(self::$folders) as $path) {
            self::remove($path);
        }
    }

    private static function removeTree(string $path): void
    {
        if (is_dir($path) && !is_link($path)) {
            foreach (array_diff(scandir($path) ?: [], ['.', '..']) as $entry) {
                self::removeTree("$path/$entry");
            }
            @rmdir($path);
        } else {
            @unlink($path);
        }
    }
}
